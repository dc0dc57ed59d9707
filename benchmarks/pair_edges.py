"""How well a judge tells the order of a pair's segments that sees their edges only, and not what they say.

    python benchmarks/pair_edges.py --input '../shared/data/english/corpus/*.xz' \\
        --vocab ../shared/data/checkpoints/bert_base_uncased

The judge is a logistic regression on the two tokens at each of the four edges, and on which of the edges look like the
border of a sentence: 0.5 is chance. What it tells is no harm in itself, but a model that learns to look there learns
little else. Printed for the packing of `--pairs` and for the one published with ALBERT, whose pairs of foreign
documents are among those that count as swapped.
"""

import argparse
from random import Random

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

from electra_tf.data.corpus import expand, read_documents
from electra_tf.data.original_packing import pack_albert
from electra_tf.data.pair_packing import SPECIAL, pack_pairs
from electra_tf.text.tokenizer import Tokenizer

AROUND = 2  # tokens that are seen at each edge
KINDS = 6  # of tokens, where edges are seen together
LINKS = ("of", "the", "and", "to", "a", "in", "that", "with", "by", "for", "as", "at", "or")  # seldom end a sentence


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", nargs="+", required=True, help="English text")
    parser.add_argument("--vocab", required=True, help="a WordPiece vocabulary")
    parser.add_argument("--lengths", type=int, nargs="+", default=[128, 512])
    args = parser.parse_args()

    tokenizer = Tokenizer.from_pretrained(args.vocab)
    texts = tokens_of(read_documents(expand(args.input)), tokenizer)
    begins_word = np.array([not token.startswith("##") for token in tokenizer.vocabulary])
    fewest = {n: -(-np.diff(texts[1][texts[2]]) // (n - SPECIAL)) for n in args.lengths}
    print("length  packing  examples  more than the fewest  judge")
    for length in args.lengths:
        ours = pack_pairs(*texts, length=length, begins_word=begins_word, stream=(0,))
        albert = pack_albert(*texts, length=length, random=Random(0))
        for name, examples in (("--pairs", ours), ("albert", albert)):
            more = len(examples) / fewest[length].sum() - 1
            print(
                f"{length:6}  {name:7}  {len(examples):8,}  {more:20.2%}  {judged(examples, tokenizer):.3f}", flush=True
            )


def tokens_of(documents, tokenizer):
    """Flat ids, row splits of lines in ids and of documents in lines, as the packers take them."""
    documents = list(documents)
    ids, lines = tokenizer.line_tokenizer("fast")([line for document in documents for line in document])
    return ids, lines, np.cumsum([0, *map(len, documents)])


def judged(examples, tokenizer):
    """The balanced accuracy of a judge that was trained on two thirds of the examples, on the last third.

    Pairs in order are shown in both orders; pairs that are swapped already as they are.
    """
    ends = np.cumsum(examples.total)
    starts, cuts = ends - examples.total, ends - examples.total + examples.first
    long = (examples.first >= AROUND) & (examples.total - examples.first >= AROUND)
    first, second = edges(examples.ids, starts[long], cuts[long]), edges(examples.ids, cuts[long], ends[long])
    shuffled = np.random.default_rng(0).permutation(long.sum())
    train, test = np.split(shuffled, [len(shuffled) * 2 // 3])

    def shown(rows):
        in_order = np.concatenate([first[rows], second[rows]], axis=1)
        if examples.labels is not None:
            return in_order, examples.labels[long][rows]
        swapped = np.concatenate([second[rows], first[rows]], axis=1)
        return np.concatenate([in_order, swapped]), np.repeat([0, 1], len(rows))

    (seen, labels), (unseen, answers) = shown(train), shown(test)
    judge = LogisticRegression(C=0.3, max_iter=300).fit(features(seen, tokenizer), labels)
    return balanced_accuracy_score(answers, judge.predict(features(unseen, tokenizer)))


def edges(ids, starts, ends):
    """The tokens at the beginning and at the end of segments, `[segments, 2 * AROUND]`."""
    places = [starts + n for n in range(AROUND)] + [ends - n - 1 for n in range(AROUND)]
    return ids[np.stack(places, axis=1)]


def features(tokens, tokenizer):
    """One-hot: each token in its place, and all four edges' kinds together."""
    kinds = np.array([kind(token) for token in tokenizer.vocabulary])
    at_edges = kinds[tokens[:, [0, AROUND, 2 * AROUND, 3 * AROUND]]]
    together = at_edges @ (KINDS ** np.arange(4))
    columns = tokens + len(kinds) * np.arange(tokens.shape[1])
    columns = np.concatenate([columns, len(kinds) * tokens.shape[1] + together[:, None]], axis=1)
    rows = np.repeat(np.arange(len(columns)), columns.shape[1])
    shape = (len(columns), len(kinds) * tokens.shape[1] + KINDS**4)
    return csr_matrix((np.ones(columns.size, np.float32), (rows, columns.ravel())), shape)


def kind(token):
    """The end of a sentence, quotation, other punctuation, the inside of a word, a word that links, any other."""
    if token in (".", "!", "?", ":"):
        return 0
    if not any(character.isalnum() for character in token):
        return 1 if token in ('"', "'", "”", "“", "’", "‘", ")", "(") else 2
    if token.startswith("##"):
        return 3
    return 4 if token in LINKS else 5


if __name__ == "__main__":
    main()
