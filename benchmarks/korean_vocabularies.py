"""What morphemes do to a Korean vocabulary, beside plain WordPiece and SentencePiece of the same size.

    python benchmarks/korean_vocabularies.py --input 'ko/*.txt' --held_out news.txt --size 8000

Needs `pip install .[korean]`. All are cased and keep accents. Figures count eojeols, what stands between two blanks;
MeCab says what a morpheme is, of eojeols each alone. Prints a table and writes JSON.
"""

import argparse
import itertools
import json
import time
from collections import Counter
from pathlib import Path

from electra_tf.data.corpus import expand, read_documents
from electra_tf.text.mecab import mecab
from electra_tf.text.sentencepiece import SentencePieceSettings
from electra_tf.text.sentencepiece_vocabulary import count_blank_separated, train_sentencepiece
from electra_tf.text.wordpiece_tokenizer import WordPieceSettings, WordPieceTokenizer
from electra_tf.text.wordpiece_vocabulary import train_vocabulary

COLUMNS = {
    "entries_that_are_morphemes": "entries of 2 or more characters that are morphemes",
    "unknown": "eojeols with an unknown, text",
    "unknown_held_out": "the same, held-out",
    "tokens_an_eojeol": "tokens an eojeol, held-out",
    "tokens_that_are_morphemes": "tokens that are whole morphemes, held-out",
    "seconds": "seconds to learn",
}


def wordpiece(lines, size, divide):
    settings = WordPieceSettings(lower_case=False)
    return WordPieceTokenizer(train_vocabulary(lines, size, settings, divide=divide)[0], settings)


def sentencepiece(lines, size):
    return train_sentencepiece(lines, size, SentencePieceSettings("transformers_slow", False, False))[0]


def spans(text, places):
    """(begin, end) of each morpheme."""
    return set(itertools.pairwise([*places, len(text)]))


def on(tokenizer, eojeols: Counter, divide) -> tuple[float, float, float]:
    """Share of eojeols with an unknown, tokens an eojeol, share of tokens that are morphemes."""
    unknown = tokens = whole = 0
    encodings = tokenizer.encode_batch(list(eojeols), add_special_tokens=False)
    for (eojeol, n), encoding in zip(eojeols.items(), encodings, strict=True):
        morphemes = spans(eojeol, divide(eojeol))
        unknown += n * (tokenizer.unk_id in encoding.ids)
        tokens += n * len(encoding.ids)
        whole += n * sum(place in morphemes for place in encoding.offsets)
    total = sum(eojeols.values())
    return unknown / total, tokens / total, whole / tokens


def measure(tokenizer, text: Counter, held_out: Counter, morphemes: set[str], divide) -> dict:
    longer = [token.removeprefix("##").removeprefix("\u2581") for token in tokenizer.vocabulary]
    longer = [token for token in longer if len(token) > 1 and token not in tokenizer.special_tokens]
    on_held_out = on(tokenizer, held_out, divide)
    return {
        "entries_that_are_morphemes": sum(token in morphemes for token in longer) / len(longer),
        "unknown": on(tokenizer, text, divide)[0],
        "unknown_held_out": on_held_out[0],
        "tokens_an_eojeol": on_held_out[1],
        "tokens_that_are_morphemes": on_held_out[2],
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--input", nargs="+", required=True)
    parser.add_argument("--held_out", nargs="+", required=True)
    parser.add_argument("--size", type=int, default=8000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    held_out_files = expand(options.held_out)
    files = [path for path in expand(options.input) if path not in held_out_files]
    lines, held_out = (list(itertools.chain.from_iterable(read_documents(f))) for f in (files, held_out_files))
    divide = mecab()
    eojeols, others = count_blank_separated(lines), count_blank_separated(held_out)
    morphemes = {eojeol[i:j] for eojeol in eojeols for i, j in spans(eojeol, divide(eojeol))}
    found = {}
    for name, learn in {
        "WordPiece": lambda: wordpiece(lines, options.size, None),
        "WordPiece within morphemes": lambda: wordpiece(lines, options.size, divide),
        "SentencePiece": lambda: sentencepiece(lines, options.size),
    }.items():
        began = time.perf_counter()
        tokenizer = learn()
        found[name] = {"seconds": time.perf_counter() - began}
        found[name] |= measure(tokenizer, eojeols, others, morphemes, divide)

    print(
        f"{sum(eojeols.values()):,} eojeols learned from, {sum(others.values()):,} held out; {options.size:,} entries\n"
    )
    print(f"| | {' | '.join(COLUMNS.values())} |\n|{'---|' * (len(COLUMNS) + 1)}")
    for name, figures in found.items():
        cells = [f"{figures[c]:.2f}" if c == "tokens_an_eojeol" else f"{figures[c]:.2%}" for c in list(COLUMNS)[:-1]]
        print(f"| {name} | {' | '.join(cells)} | {figures['seconds']:.0f} |")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
