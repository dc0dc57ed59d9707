"""Sentences whose class, whose tags, or whose answer words tell."""

import random

WORDS = ("the", "captain", "and", "of", "island", "ship", "man", "said", "his", "house")
TELLING = {"good": "sea", "bad": "was"}
TAGS = {"sea": "B-SEA", "captain": "B-MAN"}


def sentences(count, seed=0):
    """(text, label) whose label one word tells."""
    chance = random.Random(seed)
    for _ in range(count):
        label = chance.choice(["good", "good", "bad"])
        words = chance.choices(WORDS, k=chance.randint(2, 20))
        words += [TELLING[label]] * (2 + len(words) // 2)
        chance.shuffle(words)
        yield " ".join(words), label


def tagged(count, seed, longest=24):
    """(words, tags) where each word tells its tag."""
    chance = random.Random(seed)
    for _ in range(count):
        words = [chance.choice([*WORDS, "sea", "sea"]) for _ in range(chance.randint(1, longest))]
        yield words, [TAGS.get(word, "O") for word in words]


def squad(count, seed, lacking=0.0, longest=24):
    """SQuAD's JSON: the answer is always the one `sea`, or `sea ship`, of the context."""
    chance, paragraphs = random.Random(seed), []
    for number in range(count):
        words = [chance.choice(WORDS[:5] + WORDS[6:]) for _ in range(chance.randint(2, longest))]
        answer = chance.choice(["sea", "sea ship"])
        lacks = chance.random() < lacking
        at = chance.randint(0, len(words))
        context = " ".join([*words[:at], *([] if lacks else [answer]), *words[at:]])
        answers = [] if lacks else [{"text": answer, "answer_start": context.index(answer)}]
        one = {"id": f"q{number}", "question": "the sea", "answers": answers, "is_impossible": lacks}
        paragraphs.append({"context": context, "qas": [one]})
    return {"version": "2.0", "data": [{"title": "t", "paragraphs": paragraphs}]}
