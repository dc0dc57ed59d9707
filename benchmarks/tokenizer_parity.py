"""Lines of a text to which transformers' `AutoTokenizer` gives other ids than we do, from the same tokenizer folder.

    python benchmarks/tokenizer_parity.py --vocab vocab --input text.txt --transformers5 FOLDER

FOLDER is where `pip install --target FOLDER 'transformers>=5'` installed it; without it version 4 alone is asked.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

# What the peer runs, in a process of its own: a folder, and lines on its standard input.
PEER = """
import json, sys, transformers
tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1])
ids = tokenizer(json.load(sys.stdin), split_special_tokens=True)["input_ids"]
print(json.dumps([transformers.__version__, ids]))
"""


def ask(vocab, lines, target):
    """The peer's version and its ids of every line."""
    environment = dict(os.environ, TRANSFORMERS_VERBOSITY="error")
    if target:
        environment["PYTHONPATH"] = str(target)
    command = [sys.executable, "-c", PEER, str(vocab)]
    done = subprocess.run(command, input=json.dumps(lines), env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def main():
    from electra_tf.data.corpus import expand, read_documents
    from electra_tf.text.tokenizer import Tokenizer

    parser = argparse.ArgumentParser()
    parser.add_argument("--vocab", type=Path, required=True)
    parser.add_argument("--input", nargs="+", required=True)
    parser.add_argument("--transformers5", type=Path)
    options = parser.parse_args()

    tokenizer = Tokenizer.from_pretrained(options.vocab)
    lines = list(itertools.chain.from_iterable(read_documents(expand(options.input))))
    ours = [encoding.ids for encoding in tokenizer.encode_batch(lines)]
    for target in [None, options.transformers5] if options.transformers5 else [None]:
        version, theirs = ask(options.vocab, lines, target)
        places = [place for place, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b]
        print(f"transformers {version}: {len(places):,} of {len(lines):,} lines differ")
        for place in places[:3]:
            at = next((i for i, (a, b) in enumerate(zip(ours[place], theirs[place], strict=False)) if a != b), 0)
            around = slice(max(0, at - 2), at + 4)
            for ids in (ours[place], theirs[place]):
                print("   ", *(tokenizer.vocabulary[i] for i in ids[around]))


if __name__ == "__main__":
    main()
