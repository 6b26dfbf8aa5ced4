"""llama.cpp's own server as a process: serve.py WEIGHTS MODEL KEY. It logs its address to stderr."""

import sys
import threading

from xllamacpp import CommonParams, Server


def main(weights: str, model: str, key: str) -> None:
    """Serves on a free port, without a GPU, with four slots of 2048 tokens each, until it is killed."""
    params = CommonParams()
    params.model.path = weights
    params.model_alias = {model}
    params.api_keys = [key]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx = 8192
    params.n_parallel = 4
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = 2
    params.offline = True
    params.ui = False
    params.endpoint_slots = True
    params.endpoint_metrics = True
    # The server's threads run as long as the object exists.
    _server = Server(params)
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
