"""States, regressions and searches of echo state networks, by ReservoirPy and SciPy."""

import time

import numpy
from joblib.externals.loky import get_reusable_executor
from reservoirpy.nodes import Reservoir, Ridge
from reservoirpy.observables import nrmse
from scipy.sparse import csr_array


def prepare(case, tensors):
    numbers = {name: tensor.numpy() for name, tensor in tensors.items()}
    kinds = {"harvest": Harvest, "batch": Harvest, "fit": Fit, "search": Search}
    kind = kinds.get(case["job"])
    return kind(case, numbers) if kind else None


class Harvest:
    """Matrices in the format that ReservoirPy draws them in."""

    def __init__(self, case, numbers):
        w, w_in = csr_array(numbers["w"]), csr_array(numbers["w_in"])
        self.reservoir = Reservoir(W=w, Win=w_in)
        self.u, self.workers = numbers["u"][:, :, None], 1
        if case["job"] == "harvest":
            self.u = self.u[0]
        else:
            self.workers = self.quickest()
        self.run()

    def quickest(self):
        """Other processes cost more than they bring where the series are short."""
        taken = {}
        for workers in (1, -1):
            self.workers = workers
            self.run()
            began = time.perf_counter()
            self.run()
            taken[workers] = time.perf_counter() - began
        quickest = min(taken, key=taken.get)
        if quickest == 1:
            get_reusable_executor().shutdown()
        return quickest

    def run(self):
        if self.reservoir.initialized:
            self.reservoir.reset()
        return self.reservoir.run(self.u, workers=self.workers)

    def results(self):
        return numpy.asarray(self.run()).ravel().tolist()


class Fit:
    def __init__(self, case, numbers):
        self.ridge, self.x, self.y = case["ridge"], numbers["x"], numbers["y"]

    def run(self):
        return Ridge(ridge=self.ridge).fit(self.x, self.y)

    def results(self):
        readout = self.run()
        return numpy.concatenate([readout.bias.ravel(), readout.Wout.ravel()]).tolist()


class Search:
    """One setting after the other, as in ReservoirPy's tutorial on hyper-parameters."""

    def __init__(self, case, numbers):
        self.case, self.settings = case, numbers["settings"]
        self.u, self.d = numbers["series"][:-1], numbers["series"][1:]

    def run(self):
        learned, washout = self.case["learned"], self.case["washout"]
        losses = []
        for radius, leak, scaling, ridge in self.settings:
            reservoir = Reservoir(
                self.case["units"], sr=radius, lr=leak, input_scaling=scaling, seed=1
            )
            model = reservoir >> Ridge(ridge=ridge)
            model.fit(self.u[:learned], self.d[:learned], warmup=washout)
            losses.append(nrmse(self.d[learned:], model.run(self.u[learned:])))
        return losses

    def results(self):
        return [float(loss) for loss in self.run()]
