"""The models that are measured whole, and a step of their training. The wiring is that of
benches/src/model.rs."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from attention import additive, attend, multiplicative
from layer import fill

BOS, EOS = 2, 3


def lstm(tensors, prefix, both=False):
    """One layer, both ways if asked to."""
    first = f"{prefix}forward.Lstm." if both else prefix
    d_input, four = tensors[f"{first}w_x"].shape
    module = nn.LSTM(d_input, four // 4, batch_first=True, bidirectional=both)
    fill(module, 0, tensors, first)
    if both:
        fill(module, 0, tensors, f"{prefix}backward.Lstm.", "_reverse")
    return module


def stack(tensors, prefix):
    """Layers above each other."""
    count = sum(name.startswith(prefix) and name.endswith("w_x") for name in tensors)
    d_input, four = tensors[f"{prefix}0.Lstm.w_x"].shape
    module = nn.LSTM(d_input, four // 4, num_layers=count, batch_first=True)
    for layer in range(count):
        fill(module, layer, tensors, f"{prefix}{layer}.Lstm.")
    return module


def linear(w, b=None):
    module = nn.Linear(*w.shape, bias=b is not None)
    with torch.no_grad():
        module.weight.copy_(w.mT)
        if b is not None:
            module.bias.copy_(b)
    return module


def embedding(e):
    return nn.Embedding.from_pretrained(e.clone(), freeze=False, padding_idx=0)


class Seq2Seq(nn.Module):
    def __init__(self, tensors):
        super().__init__()
        self.source = embedding(tensors["source_embedding.e"])
        self.target = embedding(tensors["target_embedding.e"])
        # Up to here they are `encoder.layers.0.Both.` and `encoder.layers.1.Forward.`.
        kinds = {name[: name.index(".", 17) + 1] for name in tensors if name.startswith("encoder.")}
        readers = [
            lstm(tensors, kind, both=True) if "Both" in kind else lstm(tensors, f"{kind}Lstm.")
            for kind in sorted(kinds)
        ]
        self.readers = nn.ModuleList(readers)
        bridge = [f"bridge.layers.0.{{}}.{part}" for part in (0, 1)]
        self.bridge = nn.ModuleList(
            linear(tensors[name.format("w")], tensors[name.format("b")])
            for name in bridge
            if name.format("w") in tensors
        )
        self.decoder = stack(tensors, "decoder.Luong.rnn.layers.")
        prefix = "decoder.Luong.attention."
        asked = {name.rsplit(".", 1)[-1]: w for name, w in tensors.items() if name.startswith(prefix)}
        self.attention = nn.ParameterDict(asked)
        self.score = additive if "v" in asked else multiplicative
        self.mix = linear(tensors["decoder.Luong.w_c"])
        self.output = linear(tensors["output.w_o"], tensors["output.b_o"])

    def encode(self, sources):
        """The memory, and the state of the decoder in front of its first step."""
        y = self.source(sources)
        for reader in self.readers:
            y, state = reader(y)
        if len(self.bridge) == 0:
            return y, None
        sides = [part.transpose(0, 1).flatten(1) for part in state]
        return y, tuple(torch.tanh(w(side))[None] for w, side in zip(self.bridge, sides))

    def decode(self, tokens, state, memory):
        """Logits for some steps, and the state behind them."""
        s, state = self.decoder(self.target(tokens), state)
        context = attend(self.score, self.attention, memory, s)
        return self.output(torch.tanh(self.mix(torch.cat([context, s], 2)))), state


def ended(rows):
    return torch.tensor([[*row, EOS] for row in rows])


def prepare(case, tensors):
    return Step(case, Seq2Seq(tensors))


class Step:
    def __init__(self, case, model):
        self.model, self.clip, self.compared = model, case["clip"], case["compared"]
        self.sources, self.targets = ended(case["sources"]), ended(case["targets"])
        self.begun = torch.tensor([[BOS, *row] for row in case["targets"]])
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.parameters = trained
        # `fused` is the quickest that PyTorch has.
        self.optimizer = torch.optim.Adam(trained, lr=case["rate"], fused=True)

    def run(self):
        self.optimizer.zero_grad(set_to_none=True)
        memory, state = self.model.encode(self.sources)
        logits, _ = self.model.decode(self.begun, state, memory)
        loss = cross_entropy(logits.flatten(0, 1), self.targets.flatten())
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.optimizer.step()
        # Training looks at both after every step.
        return loss.item(), norm.item()

    def results(self):
        return [number for _ in range(self.compared) for number in self.run()]
