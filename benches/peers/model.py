"""The models that are measured whole, and a step of their training. The wiring is that of
benches/src/model.rs."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from attention import Multiplicative, NormedAdditive, attend, named, remember
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


def lstms(tensors, prefix):
    """Layers of their own, as many as there are."""
    count = sum(name.startswith(prefix) and name.endswith(".w_x") for name in tensors)
    return nn.ModuleList(lstm(tensors, f"{prefix}{n}.Lstm.") for n in range(count))


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
        self.reader = lstm(tensors, "encoder.layers.0.Both.", both=True)
        bridge = [f"bridge.layers.0.{{}}.{part}" for part in (0, 1)]
        self.bridge = nn.ModuleList(
            linear(tensors[name.format("w")], tensors[name.format("b")]) for name in bridge
        )
        self.decoder = lstm(tensors, "decoder.Luong.rnn.layers.0.Lstm.")
        self.attention = Multiplicative(named(tensors, "decoder.Luong.attention."))
        self.mix = linear(tensors["decoder.Luong.w_c"])
        self.output = linear(tensors["output.w_o"], tensors["output.b_o"])

    def encode(self, sources):
        """The memory, and the states of the decoder's layers in front of its first step."""
        y, state = self.reader(self.source(sources))
        sides = [part.transpose(0, 1).flatten(1) for part in state]
        start = tuple(torch.tanh(w(side))[None] for w, side in zip(self.bridge, sides))
        return remember(self.attention, y), [start]

    def decode(self, tokens, states, memory):
        """Logits for some steps, and the states behind them."""
        s, end = self.decoder(self.target(tokens), states[0])
        context = attend(self.attention, s, memory)
        return self.output(torch.tanh(self.mix(torch.cat([context, s], 2)))), [end]


class Gnmt(nn.Module):
    def __init__(self, tensors):
        super().__init__()
        self.source = embedding(tensors["source_embedding.e"])
        self.target = embedding(tensors["target_embedding.e"])
        self.both = lstm(tensors, "encoder.both.", both=True)
        self.readers = lstms(tensors, "encoder.upper.")
        self.first = lstm(tensors, "decoder.first.Lstm.")
        self.attention = NormedAdditive(named(tensors, "decoder.attention."))
        self.writers = lstms(tensors, "decoder.upper.")
        self.output = linear(tensors["output.w_o"], tensors["output.b_o"])

    def encode(self, sources):
        x, _ = self.both(self.source(sources))
        for n, layer in enumerate(self.readers):
            m, _ = layer(x)
            # There is a way around the third layer and those above it.
            x = m if n == 0 else m + x
        return remember(self.attention, x), [None] * (1 + len(self.writers))

    def decode(self, tokens, states, memory):
        y, end = self.first(self.target(tokens), states[0])
        context, ends = attend(self.attention, y, memory), [end]
        for n, (layer, start) in enumerate(zip(self.writers, states[1:])):
            m, end = layer(torch.cat([y, context], 2), start)
            y = m if n == 0 else m + y
            ends.append(end)
        return self.output(y), ends


MODELS = {"g2p": Seq2Seq, "gnmt": Gnmt}


def read(case, tensors):
    return MODELS[case["model"]["wiring"]](tensors)


def ended(rows):
    return torch.tensor([[*row, EOS] for row in rows])


def prepare(case, tensors):
    return Step(case, read(case, tensors))


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
        memory, states = self.model.encode(self.sources)
        logits, _ = self.model.decode(self.begun, states, memory)
        loss = cross_entropy(logits.flatten(0, 1), self.targets.flatten())
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.optimizer.step()
        # Training looks at both after every step.
        return loss.item(), norm.item()

    def results(self):
        return [number for _ in range(self.compared) for number in self.run()]
