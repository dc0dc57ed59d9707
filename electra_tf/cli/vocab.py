"""`electra-tf vocab`: train a vocabulary from text."""

import dataclasses
import itertools
import json
from pathlib import Path

from absl import flags

DESCRIPTION = "Trains a WordPiece vocabulary from text, and writes it as a Hugging Face tokenizer folder."
EXAMPLE = "electra-tf vocab --input 'text/*.txt' --size 8000 --output vocab"

REPORT_NAME = "vocabulary_report.json"


def define_flags() -> None:
    flags.DEFINE_multi_string(
        "input",
        None,
        "Text: files or patterns (.txt, .jsonl, also .gz, .xz), comma-separated or repeated.",
    )
    flags.DEFINE_string("output", None, "Folder for the vocabulary and its settings.")
    flags.DEFINE_integer("size", 30000, "Entries in all, special and unused ones included.", lower_bound=1)
    flags.DEFINE_boolean("lower_case", True, "Lower capitals.")
    flags.DEFINE_boolean("strip_accents", None, "Remove accents; by default where capitals are lowered.")
    flags.DEFINE_boolean("split_cjk", True, "Make each Chinese character a word.")
    flags.DEFINE_integer("min_frequency", 2, "Join pairs of pieces seen at least so often.", lower_bound=1)
    flags.DEFINE_integer(
        "alphabet_limit",
        None,
        "Keep so many characters; by default the 1000 most frequent, or those that are 99.999 % of the text.",
        lower_bound=1,
    )
    flags.DEFINE_integer("unused", 0, "Reserve so many [unusedN] entries.", lower_bound=0)
    flags.DEFINE_string("text_field", "text", "The field of a .jsonl line that holds the text.")
    flags.DEFINE_boolean("json", False, "Print the report as JSON.")
    flags.mark_flags_as_required(["input", "output"])


def run(flag_values) -> None:
    from electra_tf.data.corpus import expand, read_documents
    from electra_tf.text.safe_characters import FILE_NAME, stored_form
    from electra_tf.text.tokenizer_files import write_whole
    from electra_tf.text.vocabulary import train_vocabulary
    from electra_tf.text.wordpiece import WordPieceSettings, WordPieceTokenizer

    settings = WordPieceSettings(flag_values.lower_case, flag_values.strip_accents, flag_values.split_cjk)
    paths = expand(pattern for value in flag_values.input for pattern in value.split(","))
    documents = read_documents(paths, text_field=flag_values.text_field)
    vocabulary, report = train_vocabulary(
        itertools.chain.from_iterable(documents),
        flag_values.size,
        settings,
        min_frequency=flag_values.min_frequency,
        alphabet_limit=flag_values.alphabet_limit,
        unused=flag_values.unused,
    )
    tokenizer = WordPieceTokenizer(vocabulary, settings)
    facts = {"fingerprint": tokenizer.fingerprint} | dataclasses.asdict(report)

    folder = Path(flag_values.output)
    tokenizer.save(folder)
    write_whole(folder / FILE_NAME, stored_form(settings))
    write_whole(folder / REPORT_NAME, json.dumps(facts, indent=2) + "\n")
    print(json.dumps(facts) if flag_values.json else _in_words(report, folder))


def _in_words(report, folder):
    lines = [
        f"{report.size:,} entries in {folder}",
        f"  {report.words:,} words, {report.distinct_words:,} different: "
        f"{report.tokens_per_word:.3f} tokens a word, {report.unknown_rate:.3%} unknown",
        f"  {report.alphabet:,} characters, {report.alphabet_coverage:.3%} of the text",
    ]
    if report.size < report.requested_size:
        lines.append(f"  {report.requested_size:,} entries were asked for: more text would give more")
    return "\n".join(lines)
