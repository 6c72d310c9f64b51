"""One step of the cells that PyTorch has no module for: what a user of PyTorch writes.

A step takes the projected input, the state and the weights to the output and the next state. The
equations are those in the heads of crates/cells/src/*.rs.
"""

import torch
from torch.nn.functional import layer_norm


def norm(x, weights, name):
    gamma, beta = weights[f"{name}.gamma"], weights[f"{name}.beta"]
    return layer_norm(x, x.shape[-1:], gamma, beta, 1e-5)


def leaky(x, past, w):
    h = past[-1][0]
    a = torch.sigmoid(w["leak.Learned"])
    h = (1 - a) * h + a * torch.tanh(x + h @ w["w_h"])
    return h, (h,)


def skip(x, past, w):
    total = x
    for delay, matrix in ((1, w["u.0"]), (10, w["u.1"])):
        if delay <= len(past):
            total = total + past[-delay][0] @ matrix
    h = torch.tanh(total)
    return h, (h,)


def carousel(x, past, w):
    h, c = past[-1]
    c = c + torch.tanh(x + h @ w["w_h"])
    h = torch.tanh(c)
    return h, (h, c)


def original_lstm(x, past, w):
    h, c = past[-1]
    i, g, o = (x + h @ w["w_h"]).chunk(3, 1)
    c = c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return h, (h, c)


def peephole_lstm(x, past, w):
    h, c = past[-1]
    i, f, g, o = (x + h @ w["w_h"]).chunk(4, 1)
    p_i, p_f, p_o = w["p"]
    i, f = torch.sigmoid(i + p_i * c), torch.sigmoid(f + p_f * c)
    c = f * c + i * torch.tanh(g)
    h = torch.sigmoid(o + p_o * c) * torch.tanh(c)
    return h, (h, c)


def coupled_lstm(x, past, w):
    h, c = past[-1]
    f, g, o = (x + h @ w["w_h"]).chunk(3, 1)
    f = torch.sigmoid(f)
    c = f * c + (1 - f) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return h, (h, c)


def layer_norm_lstm(x, past, w):
    h, c = past[-1]
    i, f, g, o = (x + norm(h @ w["w_h"], w, "norm_h")).chunk(4, 1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(norm(c, w, "norm_c"))
    return h, (h, c)


def gnmt_lstm(x, past, w):
    h, c = past[-1]
    i, f, g, o = (x + h @ w["w_h"]).chunk(4, 1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * c
    return h, (h, c)


def project(cell, x, w):
    """The input side of all steps."""
    if cell == "layer_norm_lstm":
        return norm(x @ w["w_x"], w, "norm_x") + w["b"]
    return x @ w["w_x"] + w["b"]


STEPS = {
    step.__name__: step
    for step in (
        leaky,
        skip,
        carousel,
        original_lstm,
        peephole_lstm,
        coupled_lstm,
        layer_norm_lstm,
        gnmt_lstm,
    )
}
