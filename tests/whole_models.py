"""Whole models of transformers with the weights of ours: which of their tensors each of ours is."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from algoprog.model.interface.backbone import Backbone

GPT2 = {
    "attention_norm.gain": "ln_1.weight",
    "attention_norm.bias": "ln_1.bias",
    "attention.qkv.weight": "attn.c_attn.weight",
    "attention.qkv.bias": "attn.c_attn.bias",
    "attention.out.weight": "attn.c_proj.weight",
    "attention.out.bias": "attn.c_proj.bias",
    "mlp_norm.gain": "ln_2.weight",
    "mlp_norm.bias": "ln_2.bias",
    "mlp.up.weight": "mlp.c_fc.weight",
    "mlp.up.bias": "mlp.c_fc.bias",
    "mlp.down.weight": "mlp.c_proj.weight",
    "mlp.down.bias": "mlp.c_proj.bias",
}

LLAMA = {
    "attention_norm.gain": "input_layernorm.weight",
    "attention.out.weight": "self_attn.o_proj.weight",
    "mlp_norm.gain": "post_attention_layernorm.weight",
    "mlp.gate.weight": "mlp.gate_proj.weight",
    "mlp.up.weight": "mlp.up_proj.weight",
    "mlp.down.weight": "mlp.down_proj.weight",
}


def gpt2(modeling: ModuleType, gpt: Backbone, **knobs: Any) -> nn.Module:
    """A GPT-2 of the sizes of ours, whose GELU is the exact one; its weights are its own.

    Args:
        modeling: `transformers.models.gpt2.modeling_gpt2`.
        gpt: `baseline=gpt2`.
        knobs: of its configuration.
    """
    dims = gpt.dims
    config = modeling.GPT2Config(
        vocab_size=dims.vocab_size,
        n_positions=dims.seq_len,
        n_embd=dims.d_model,
        n_layer=dims.n_layers,
        n_head=dims.n_heads,
        activation_function="gelu",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=None,
        eos_token_id=None,
        **knobs,
    )
    model: nn.Module = modeling.GPT2LMHeadModel(config)
    return model


def llama(modeling: ModuleType, gpt: Backbone, **knobs: Any) -> nn.Module:
    """A Llama of the sizes of ours, with tied embeddings; its weights are its own.

    Args:
        modeling: `transformers.models.llama.modeling_llama`.
        gpt: `baseline=llama`.
        knobs: of its configuration.
    """
    dims = gpt.dims
    config = modeling.LlamaConfig(
        vocab_size=dims.vocab_size,
        max_position_embeddings=dims.seq_len,
        hidden_size=dims.d_model,
        intermediate_size=gpt.get_parameter("blocks.0.mlp.up.weight").shape[0],
        num_hidden_layers=dims.n_layers,
        num_attention_heads=dims.n_heads,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        **knobs,
    )
    model: nn.Module = modeling.LlamaForCausalLM(config)
    return model


def pairs(gpt: Backbone, theirs: nn.Module) -> Iterator[tuple[Tensor, list[Tensor]]]:
    """Each tensor of ours, and those of theirs that lie in it one after the other, as views in our layout."""
    old = hasattr(theirs, "transformer")
    body: Any = theirs.transformer if old else theirs.model
    layers, table = (body.h, GPT2) if old else (body.layers, LLAMA)
    yield gpt.get_parameter("embedding.table.weight").data, [(body.wte if old else body.embed_tokens).weight.data]
    if old:
        yield gpt.get_parameter("pos.table.weight").data, [body.wpe.weight.data]
    for index, layer in enumerate(layers):
        for ours, name in table.items():
            tensor = layer.get_parameter(name).data
            # The matrices of GPT-2 are stored as they are multiplied from the right.
            yield gpt.get_parameter(f"blocks.{index}.{ours}").data, [tensor.T if old and tensor.ndim == 2 else tensor]
        if not old:
            parts = [getattr(layer.self_attn, f"{part}_proj").weight.data for part in "qkv"]
            yield gpt.get_parameter(f"blocks.{index}.attention.qkv.weight").data, parts
    final = body.ln_f if old else body.norm
    yield gpt.get_parameter("final_norm.gain").data, [final.weight.data]
    if old:
        yield gpt.get_parameter("final_norm.bias").data, [final.bias.data]


def copy_to(theirs: nn.Module, gpt: Backbone) -> nn.Module:
    """Theirs with our weights."""
    for ours, parts in pairs(gpt, theirs):
        for part, rows in zip(parts, ours.split([len(part) for part in parts]), strict=True):
            part.copy_(rows)
    return theirs


def copy_from(theirs: nn.Module, gpt: Backbone) -> Backbone:
    """Ours with their weights."""
    for ours, parts in pairs(gpt, theirs):
        ours.copy_(torch.cat(parts))
    return gpt
