"""`electra-tf vocab`: train a vocabulary from text."""

import dataclasses
import itertools
import json
import os
import sys
from pathlib import Path

from absl import flags

DESCRIPTION = (
    "Trains a vocabulary from text, WordPiece as ELECTRA's or SentencePiece as ALBERT's, and writes it as a Hugging "
    "Face tokenizer folder. The same text and settings give the same files."
)
EXAMPLE = """
electra-tf vocab --input 'text/*.txt' --size 8000 --output vocab
electra-tf vocab --input 'ko/*.txt' --size 32200 --nolower_case --unused 200 --morphemes mecab --output vocab
electra-tf vocab --kind sentencepiece --input 'text/*.txt' --size 30000 --output vocab
"""

REPORT_NAME = "vocabulary_report.json"
MOST = 10_000_000  # entries; the largest published vocabularies have some hundred thousand
MUCH_STRIPPED = 0.05  # share of words that lose an accent, from which on it is said
MUCH_JOINED = MUCH_DECOMPOSED = 0.01  # and of those that lose a joiner, or are in NFD

# Flags that one kind of vocabulary alone knows.
ONLY = {
    "wordpiece": ("split_cjk", "min_frequency", "alphabet_limit", "unused", "morphemes"),
    "sentencepiece": ("tokenization", "character_coverage", "symbols", "max_lines", "seed"),
}


def define_flags() -> None:
    from electra_tf.text.mecab import ANALYSERS
    from electra_tf.text.sentencepiece import TOKENIZATIONS
    from electra_tf.text.sentencepiece_vocabulary import COVERAGE, MAX_LINES, SYMBOLS

    flags.DEFINE_multi_string(
        "input",
        None,
        "Text or JSON lines, also compressed (gzip, xz, bzip2): files or patterns, comma-separated or repeated.",
    )
    flags.DEFINE_string("output", None, "Folder for the vocabulary and its settings.")
    flags.DEFINE_enum("kind", "wordpiece", list(ONLY), "What ELECTRA and BERT have, or what ALBERT has.")
    flags.DEFINE_integer("size", 30000, "Entries in all, special and unused ones included.", 1, MOST)
    flags.DEFINE_boolean("lower_case", True, "Lower capitals.")
    flags.DEFINE_boolean("strip_accents", None, "Remove accents; by default where capitals are lowered.")
    flags.DEFINE_multi_string("measure", [], "Other text to measure the vocabulary on: files or patterns, as --input.")
    flags.DEFINE_string("text_field", "text", "The field of a JSON line that holds the text.")
    flags.DEFINE_boolean("json", False, "Print the report as JSON.")
    flags.DEFINE_boolean(
        "overwrite", False, "Replace a vocabulary in --output that was not written here, or was changed."
    )

    flags.DEFINE_boolean("split_cjk", True, "WordPiece: make each Chinese character a word.")
    flags.DEFINE_integer("min_frequency", 2, "WordPiece: join pairs of pieces seen at least so often.", lower_bound=1)
    flags.DEFINE_integer(
        "alphabet_limit",
        None,
        "WordPiece: keep so many characters; by default the 1000 most frequent, or what is 99.999 % of the text.",
        lower_bound=1,
    )
    flags.DEFINE_integer("unused", 0, "WordPiece: reserve so many [unusedN] entries, the last ones.", 0, MOST)
    flags.DEFINE_enum(
        "morphemes",
        None,
        list(ANALYSERS),
        "WordPiece: learn no piece that reaches over the border of two Korean morphemes, as MeCab finds them.",
    )
    flags.DEFINE_enum(
        "tokenization",
        "transformers_slow",
        list(TOKENIZATIONS),
        "SentencePiece: whose preparation of the text; transformers' AlbertTokenizer or its fast one, or Google's.",
    )
    flags.DEFINE_float(
        "character_coverage",
        COVERAGE,
        "SentencePiece: share of the text's characters that become pieces.",
        lower_bound=0.98,
        upper_bound=1.0,
    )
    flags.DEFINE_string(
        "symbols", " ".join(SYMBOLS), "SentencePiece: what is always a piece of its own, separated by blanks."
    )
    flags.DEFINE_integer(
        "max_lines", MAX_LINES, "SentencePiece: learn from so many lines, chosen by --seed.", lower_bound=1
    )
    flags.DEFINE_integer("seed", 0, "SentencePiece: of the choice of lines, where there are more than --max_lines.")
    flags.mark_flags_as_required(["input", "output"])


def run(flag_values) -> None:
    from electra_tf.checkpoints.containers.output import Output, output_folder
    from electra_tf.data.corpus import expand, named, read_documents
    from electra_tf.data.unknown_text import composed
    from electra_tf.errors import shown
    from electra_tf.files import write_whole

    _refuse_flags(flag_values)
    folder = Path(flag_values.output)
    _refuse_folder(folder, flag_values.kind, flag_values.overwrite)

    def files(values):
        return expand(named(values), apart_from=[folder])  # an older vocabulary there is no text

    def text(paths):
        return itertools.chain.from_iterable(read_documents(paths, text_field=flag_values.text_field))

    paths, others = files(flag_values.input), files(flag_values.measure) if flag_values.measure else []
    learn = _sentencepiece if flag_values.kind == "sentencepiece" else _wordpiece
    tokenizer, report, beside, measure = learn(flag_values, text(paths))
    facts = {"kind": flag_values.kind, "fingerprint": tokenizer.fingerprint} | dataclasses.asdict(report)
    if flag_values.morphemes:
        facts["morphemes"] = flag_values.morphemes
    if others:
        facts["measured"] = dataclasses.asdict(measure(text(others)))

    with output_folder(Output(folder, flag_values.overwrite), _is_known, megabytes=5) as aside:
        tokenizer.save(aside)
        for name, content in beside.items():
            write_whole(aside / name, content)
        write_whole(aside / REPORT_NAME, json.dumps(facts, indent=2) + "\n")
    if facts["stripped"] > MUCH_STRIPPED:
        print(
            f"warning: {facts['stripped']:.1%} of the words lose an accent or a tone: where these tell words apart, "
            "as in Vietnamese, keep them with --nostrip_accents",
            file=sys.stderr,
        )
    if facts["joined"] > MUCH_JOINED:
        print(
            f"warning: {facts['joined']:.1%} of the words lose a joiner (U+200C or U+200D), as with any tokenizer of "
            "BERT's kind: where it parts a word, as in Persian, write a blank in its place, in all texts",
            file=sys.stderr,
        )
    if facts["decomposed"] > MUCH_DECOMPOSED:
        print(
            f"warning: {facts['decomposed']:.1%} of the words are in NFD, their letters taken apart, and to this "
            "vocabulary the same words in NFC, as most text is, are others: give the text in NFC, made by: "
            f"{shown(composed(paths[0]))}",
            file=sys.stderr,
        )
    print(json.dumps(facts) if flag_values.json else _in_words(facts, folder))


def _wordpiece(flag_values, lines):
    """A tokenizer, the report, files beside the tokenizer's, and a function from other text to its measures."""
    from electra_tf.text.mecab import mecab
    from electra_tf.text.safe_characters import FILE_NAME, stored_form
    from electra_tf.text.wordpiece_tokenizer import WordPieceSettings, WordPieceTokenizer
    from electra_tf.text.wordpiece_vocabulary import count_words, measure_vocabulary, train_vocabulary

    settings = WordPieceSettings(flag_values.lower_case, flag_values.strip_accents, flag_values.split_cjk)
    vocabulary, report = train_vocabulary(
        lines,
        flag_values.size,
        settings,
        min_frequency=flag_values.min_frequency,
        alphabet_limit=flag_values.alphabet_limit,
        unused=flag_values.unused,
        divide=mecab() if flag_values.morphemes else None,
    )
    return (
        WordPieceTokenizer(vocabulary, settings),
        report,
        {FILE_NAME: stored_form(settings)},
        lambda lines: measure_vocabulary(vocabulary, count_words(lines, settings)),
    )


def _sentencepiece(flag_values, lines):
    """As `_wordpiece`."""
    from electra_tf.text.sentencepiece import SentencePieceSettings
    from electra_tf.text.sentencepiece_vocabulary import (
        count_blank_separated,
        measure_sentencepiece,
        train_sentencepiece,
    )

    strip = flag_values.lower_case if flag_values.strip_accents is None else flag_values.strip_accents
    tokenizer, report = train_sentencepiece(
        lines,
        flag_values.size,
        SentencePieceSettings(flag_values.tokenization, flag_values.lower_case, strip),
        character_coverage=flag_values.character_coverage,
        symbols=flag_values.symbols.split(),
        max_lines=flag_values.max_lines,
        seed=flag_values.seed,
        strips_letters=flag_values.strip_accents is True,
    )
    return tokenizer, report, {}, lambda lines: measure_sentencepiece(tokenizer, count_blank_separated(lines))


def _refuse_flags(flag_values):
    from electra_tf.errors import ConfigError

    for kind, names in ONLY.items():
        meaningless = [name for name in names if kind != flag_values.kind and flag_values[name].present]
        if meaningless:
            raise ConfigError(
                f"--{meaningless[0]} means nothing for --kind {flag_values.kind}",
                expected=f"it with --kind {kind} alone",
                remedy="leave it out, or choose the other kind",
            )


def _refuse_folder(folder, kind, overwrite):
    """Before the work, what cannot be replaced after it."""
    from electra_tf.checkpoints.containers.output import LIST, foreign
    from electra_tf.errors import OutputError
    from electra_tf.files import check_is_elsewhere

    check_is_elsewhere(folder)
    other = {"wordpiece": "spiece.model", "sentencepiece": "vocab.txt"}[kind]
    changed = foreign(folder)
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    strange = [name for name in names if not (name == LIST or _is_known(name))]
    remedy = "name another --output, or change what is there"
    if other in names:
        found, where = "the folder holds a vocabulary of the other kind", folder / other
    elif strange:
        found, where = f"the folder holds something else than a vocabulary: {', '.join(strange[:3])}", folder
    elif changed and not overwrite:
        found, where = f"what is there was not written here, or was changed since: {', '.join(changed[:3])}", folder
        remedy = "name another --output, or add --overwrite"
    elif folder.exists() and not folder.is_dir():
        found, where = "there is a file of this name", folder
    elif not os.access(above := next(path for path in folder.resolve().parents if path.exists()), os.W_OK):
        found, where = "nothing can be written there", above
    else:
        return
    raise OutputError(
        found,
        where=where,
        expected="a new folder, or one with a vocabulary of this kind as it was written here, which is replaced",
        remedy=remedy,
    )


def _is_known(name):
    """Whether a file of this name belongs to a vocabulary's folder."""
    from electra_tf.text.safe_characters import FILE_NAME

    known = {"vocab.txt", "spiece.model", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"}
    return name in known | {FILE_NAME, REPORT_NAME}


def _in_words(facts, folder):
    lines = [f"{facts['size']:,} entries in {folder}", f"  {_fit(facts)}", _characters(facts)]
    if facts["stripped"] > MUCH_STRIPPED:
        lines.append(f"  {facts['stripped']:.1%} of the words lose an accent: --nostrip_accents keeps them")
    if facts["size"] < facts["requested_size"]:
        lines.append(f"  {facts['requested_size']:,} entries were asked for: more text would give more")
    if "measured" in facts:
        measured = facts["measured"]
        lines.append(
            f"  the other text: {_fit(measured)}, {measured['alphabet_coverage']:.3%} of its characters are known"
        )
    return "\n".join(lines)


def _characters(facts):
    return f"  {facts['alphabet']:,} characters, {facts['alphabet_coverage']:.3%} of the text"


def _fit(facts):
    return (
        f"{facts['words']:,} words, {facts['distinct_words']:,} different: "
        f"{facts['tokens_per_word']:.3f} tokens a word, {facts['unknown_rate']:.3%} unknown"
    )
