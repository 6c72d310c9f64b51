"""One recurrent layer: PyTorch's module where there is one, else a loop over a step."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import cells


def prepare(case, tensors):
    x = tensors.pop("x")
    if case["cell"] in cells.STEPS:
        layer = Loop(case["cell"], tensors)
    else:
        layer = Module(case["cell"], x.shape[2], tensors)
    return LayerCase(layer, x, case["mode"] == "training", case["lengths"])


def fill(module, layer, tensors, prefix="", suffix=""):
    """Our weights, `[in, out]`, in a module of PyTorch; its second bias is frozen at 0, where we
    have one bias."""
    names = {"weight_ih": "w_x", "weight_hh": "w_h", "weight_hr": "w_p"}
    names |= {"bias_ih": "b_x", "bias_hh": "b_h"} if f"{prefix}b_x" in tensors else {"bias_ih": "b"}
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            kind, ending = name.rsplit(f"_l{layer}", 1) if f"_l{layer}" in name else (name, None)
            if ending != suffix:
                continue
            if kind in names:
                ours = tensors[prefix + names[kind]]
                parameter.copy_(ours.mT if ours.ndim == 2 else ours)
            else:
                parameter.zero_()
                parameter.requires_grad_(False)


class Module(nn.Module):
    def __init__(self, cell, width, tensors):
        super().__init__()
        kinds = {"rnn": nn.RNN, "lstm": nn.LSTM, "projected_lstm": nn.LSTM, "gru": nn.GRU}
        narrow = {"proj_size": width // 2} if cell == "projected_lstm" else {}
        self.rnn = kinds[cell](width, width, batch_first=True, **narrow)
        fill(self.rnn, 0, tensors)

    def forward(self, x, lengths):
        if lengths is None:
            return self.rnn(x)[0]
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        y, _ = self.rnn(packed)
        return pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])[0]


class Loop(nn.Module):
    def __init__(self, cell, tensors):
        super().__init__()
        self.cell = cell
        # A parameter's name has no dots.
        self.names = {name: name.replace(".", "_") for name in tensors}
        for name, safe in self.names.items():
            self.register_parameter(safe, nn.Parameter(tensors[name]))

    def forward(self, x, lengths):
        w = {name: getattr(self, safe) for name, safe in self.names.items()}
        step = cells.STEPS[self.cell]
        zeros = torch.zeros_like(x[:, 0])
        past = [(zeros,) if self.cell in ("leaky", "skip") else (zeros, zeros)]
        projected = cells.project(self.cell, x, w)
        outputs = []
        if lengths is not None:
            lengths = torch.tensor(lengths)
        for t, x_t in enumerate(projected.unbind(1)):
            y, state = step(x_t, past, w)
            if lengths is not None:
                real = (t < lengths)[:, None]
                y = torch.where(real, y, zeros)
                state = tuple(torch.where(real, new, old) for new, old in zip(state, past[-1]))
            past = past[-9:] + [state]
            outputs.append(y)
        return torch.stack(outputs, 1)


class LayerCase:
    def __init__(self, layer, x, training, lengths):
        self.layer, self.training, self.lengths = layer, training, lengths
        self.x = x.requires_grad_(training)

    def run(self):
        if not self.training:
            with torch.inference_mode():
                return self.layer(self.x, self.lengths)
        self.x.grad = None
        self.layer.zero_grad(set_to_none=True)
        y = self.layer(self.x, self.lengths)
        y.square().sum().backward()
        return y

    def results(self):
        y = self.run()
        gradient = [self.x.grad] if self.training else []
        return torch.cat([part.detach().flatten() for part in [y, *gradient]]).tolist()
