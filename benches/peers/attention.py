"""Attention of all queries over a memory. The equations are those in the heads of
crates/attention/src/*.rs."""

import torch
from torch import nn
from torch.nn.functional import linear


def prepare(case, tensors):
    inputs = tensors.pop("values"), tensors.pop("queries")
    kind = Additive if case["additive"] else Multiplicative
    return AttentionCase(kind(named(tensors, "")), inputs)


def named(tensors, prefix):
    """The weights under `prefix` by their last names."""
    return {name.rsplit(".", 1)[-1]: w for name, w in tensors.items() if name.startswith(prefix)}


class Additive(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.w_q, self.w_m, self.v = (nn.Parameter(w[name]) for name in ("w_q", "w_m", "v"))

    def keys(self, values):
        return values @ self.w_m

    def compared(self):
        return self.v

    def score(self, queries, keys):
        queries = queries @ self.w_q
        return torch.tanh(queries[:, :, None] + keys[:, None]) @ self.compared()


class NormedAdditive(Additive):
    def __init__(self, w):
        super().__init__(w)
        self.b, self.g = nn.Parameter(w["b"]), nn.Parameter(w["g"])

    def keys(self, values):
        return linear(values, self.w_m.mT, self.b)

    def compared(self):
        return self.v * (self.g / self.v.norm())


class Multiplicative(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.w = nn.Parameter(w["w"])

    def keys(self, values):
        return values @ self.w

    def score(self, queries, keys):
        return queries @ keys.mT


def remember(attention, values):
    """What is looked at, prepared once a source."""
    return values, attention.keys(values)


def attend(attention, queries, memory):
    values, keys = memory
    return torch.softmax(attention.score(queries, keys), 2) @ values


class AttentionCase:
    def __init__(self, attention, inputs):
        self.attention = attention
        self.values, self.queries = self.inputs = [tensor.requires_grad_() for tensor in inputs]

    def run(self):
        for tensor in [*self.inputs, *self.attention.parameters()]:
            tensor.grad = None
        context = attend(self.attention, self.queries, remember(self.attention, self.values))
        context.square().sum().backward()
        return context

    def results(self):
        context = self.run()
        all_of_it = [context, *(tensor.grad for tensor in self.inputs)]
        return torch.cat([tensor.detach().flatten() for tensor in all_of_it]).tolist()
