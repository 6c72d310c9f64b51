"""The same work as ours, in PyTorch or ReservoirPy: answers one line of JSON for each that it reads.

The lines are described in benches/src/peer.rs. Usage: server.py THREADS
"""

import gc
import json
import sys
import time

import numpy
import torch

import attention
import decode
import layer
import model
import product


def prepare_reservoir(told, tensors):
    """ReservoirPy is only asked for where it is measured."""
    import reservoir

    return reservoir.prepare(told, tensors)


TYPES = {"F32": "<f4", "F64": "<f8"}

FAMILIES = {
    "product": product.prepare,
    "layer": layer.prepare,
    "attention": attention.prepare,
    "step": model.prepare,
    "decode": decode.prepare,
    "int8": lambda told, tensors: None,
    "reservoir": prepare_reservoir,
}


def read_tensors(path):
    """The tensors of a safetensors file of numbers in single or double precision."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        data = file.read()
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        numbers = numpy.frombuffer(data[begin:end], dtype=TYPES[entry["dtype"]]).copy()
        tensors[name] = torch.from_numpy(numbers).reshape(entry["shape"])
    return tensors


def seconds(work, times):
    began = time.perf_counter()
    for _ in range(times):
        work()
    return time.perf_counter() - began


def resident(field):
    """`VmRSS`, or `VmHWM`, the most it has been."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith(field))
    return 1024 * int(line.split()[1])


def peak(work):
    """By how many bytes one run raises the memory of this process."""
    gc.collect()
    with open("/proc/self/clear_refs", "w") as reset:
        reset.write("5")
    before = resident("VmRSS")
    work()
    return max(0, resident("VmHWM") - before)


def answer(request, case):
    if "hello" in request:
        return {"ready": True}
    if "run" in request:
        return {"seconds": seconds(case.run, request["run"])}
    if "peak" in request:
        return {"bytes": peak(case.run)}
    if "results" in request:
        return {"numbers": case.results()}
    return {"error": f"unknown request {sorted(request)}"}


def main():
    torch.set_num_threads(int(sys.argv[1]))
    case = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "prepare" in request:
                told = request["prepare"]
                case = None
                case = FAMILIES[told["family"]](told, read_tensors(request["tensors"]))
                said = {"ready": True} if case else {"absent": "the peer has no such thing"}
            else:
                said = answer(request, case)
        except Exception as error:  # it is told to who asked
            said = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
