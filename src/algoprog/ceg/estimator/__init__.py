"""The ways to get from two loss curves to one compute-equivalent gain."""
