"""llama.cpp's server as a program: `llama_cpp.py MODEL` serves a GGUF file on a free port until its input ends.

Runs in the environment that `tests/setup/llama_cpp.sh` makes. A word after MODEL makes it a server of embeddings.
"""

import sys

import xllamacpp  # type: ignore[import-not-found, import-untyped, unused-ignore] # in an environment of its own


def main(model: str, *kind: str) -> None:
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.n_ctx = 16_384
    params.n_parallel = 1
    params.warmup = False
    params.cpuparams.n_threads = 1
    if kind:
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(params)
    print(f"listening on {server.listening_address}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
