"""The task at the end of `quickstart`: which of the bundled books a sentence is from."""

import lzma
from importlib.resources import files
from pathlib import Path

from electra_tf.data.randomness import permutation
from electra_tf.files import write_whole
from electra_tf.startup import let_in

# The bundled files, and their books with so many chapters each, in order.
BOOKS = {
    "adventure": {"Treasure Island": 34, "Around the World in Eighty Days": 37, "Alice in Wonderland": 12},
    "essays": {"Walden": 18, "Autobiography of Benjamin Franklin": 20},
    "mystery": {"Adventures of Sherlock Holmes": 12, "Frankenstein": 30, "The Time Machine": 13},
}
_WORDS = 8  # at least, of a sentence
_ROWS = {"train": 320, "dev": 100, "test": 100}  # of each book


def write_books(folder: Path) -> None:
    """Writes `train.tsv`, `dev.tsv` and `test.tsv` of `sentence` and `book`: as many of each book, of every five
    chapters the third for dev, the fifth for test.
    """
    rows = {split: [] for split in _ROWS}
    for name, books in BOOKS.items():
        packed = (files("electra_tf") / "quickstart" / f"{name}.txt.xz").read_bytes()
        chapters = iter(lzma.decompress(packed).decode().split("\n\n"))
        for book, count in books.items():
            lines = {split: [] for split in _ROWS}
            for number in range(count):
                split = {2: "dev", 4: "test"}.get(number % 5, "train")
                lines[split] += [line for line in next(chapters).split("\n") if len(line.split()) >= _WORDS]
            for split, wanted in _ROWS.items():
                here = lines[split]
                rows[split] += [(here[place], book) for place in permutation(len(here), 0)[:wanted]]
    for split, of_split in rows.items():
        text = "".join(f"{sentence.replace(chr(9), ' ')}\t{book}\n" for sentence, book in of_split)
        write_whole(folder / f"{split}.tsv", f"sentence\tbook\n{text}")


def counted_words(folder: Path) -> float | None:
    """What share of the test sentences TF-IDF with logistic regression gets right, its regularisation chosen on dev;
    None where scikit-learn is not installed.
    """
    for name in ("scipy", "sklearn"):
        let_in(name)
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        return None
    table = {split: [line.split("\t") for line in _lines(folder / f"{split}.tsv")] for split in _ROWS}
    texts = {split: [text for text, _ in rows] for split, rows in table.items()}
    books = {split: [book for _, book in rows] for split, rows in table.items()}
    counts = TfidfVectorizer(sublinear_tf=True).fit(texts["train"])
    seen = {split: counts.transform(rows) for split, rows in texts.items()}
    models = [LogisticRegression(C=c, max_iter=1000).fit(seen["train"], books["train"]) for c in (1, 10)]
    best = max(models, key=lambda model: model.score(seen["dev"], books["dev"]))
    return float(best.score(seen["test"], books["test"]))


def _lines(path):
    return path.read_text(encoding="utf-8").splitlines()[1:]
