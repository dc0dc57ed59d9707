"""`electra-tf data`: build a data set from text, or of records made elsewhere."""

import dataclasses
import json
import sys

from absl import flags

from electra_tf.errors import ConfigError

DESCRIPTION = (
    "Builds a data set of shuffled TFRecords from text. A build that was stopped goes on where it was.\n"
    "With --records, checks and copies TFRecords that Google's ELECTRA or ALBERT code made."
)
EXAMPLE = """electra-tf data --input 'text/*.txt' --vocab vocab --length 128 --output data
electra-tf data --input 'text/*.txt' --vocab vocab --length 512 --pairs --output data
electra-tf data --records 'old/*.tfrecord' --held_out 0.01 --vocab vocab --length 512 --output data"""
# What says how to make examples of text says nothing of records.
OF_TEXT = ("processes", "seed", "packing", "pairs", "cross_documents", "document", "text_field")
_HELD_OUT = 0.01  # of documents


def define_flags() -> None:
    flags.DEFINE_multi_string(
        "input",
        None,
        "Text or JSON lines, also compressed (gzip, xz, bzip2): files or patterns, comma-separated or repeated.",
    )
    flags.DEFINE_multi_string(
        "records",
        None,
        "TFRecords of Google's ELECTRA or ALBERT, masked or not: files or patterns, comma-separated or repeated.",
    )
    flags.DEFINE_string(
        "vocab", None, "A folder made by `electra-tf vocab` or of Hugging Face, a vocab.txt or a .model."
    )
    flags.DEFINE_string("output", None, "Folder for the data set; new or empty, or with this very one.")
    flags.DEFINE_integer("length", 128, "Tokens of an example, [CLS] and [SEP] included.")
    flags.DEFINE_integer("processes", None, "Worker processes; by default by the cores and the size of the input.")
    flags.DEFINE_integer("seed", 0, "Of the shuffle and of the choice of segments.")
    flags.DEFINE_float(
        "held_out",
        None,
        "Share kept for evaluation: of the documents, by default 0.01; of --records the last ones, by default none.",
    )
    flags.DEFINE_enum(
        "packing",
        "lossless",
        ["lossless", "original", "albert"],
        "Keep every token, or pack as published with ELECTRA, or with ALBERT (pairs, some swapped, some foreign).",
    )
    flags.DEFINE_boolean("pairs", False, "Two consecutive segments of a document an example, for sentence order.")
    flags.DEFINE_boolean("cross_documents", False, "Let an example go on into the next document.")
    flags.DEFINE_enum(
        "document",
        "blank_line",
        ["blank_line", "line"],
        "What ends a document of a text file, beside its end.",
    )
    flags.DEFINE_string("text_field", "text", "The field of a JSON line that holds the text.")
    flags.DEFINE_boolean("json", False, "Print the summary as JSON.")
    flags.mark_flags_as_required(["vocab", "output"])
    flags.mark_flags_as_mutual_exclusive(["input", "records"], required=True)


def run(flag_values) -> None:
    watch = _Watch()
    try:
        manifest = (_import if flag_values.records else _build)(flag_values, watch)
    finally:
        watch.end()  # an error begins on a line of its own
    facts = {"output": flag_values.output, "input": manifest.input, "packing": manifest.packing, **watch.facts()}
    facts |= {"features": manifest.features, "pairs": manifest.pairs}
    for name, split in manifest.splits.items():
        facts[name] = dataclasses.asdict(split)
        del facts[name]["lengths"]
    print(json.dumps(facts) if flag_values.json else _in_words(facts))


def _build(flag_values, watch):
    from electra_tf.data.builder import build_data
    from electra_tf.data.corpus import named

    return build_data(
        named(flag_values.input),
        flag_values.vocab,
        flag_values.output,
        length=flag_values.length,
        processes=flag_values.processes,
        seed=flag_values.seed,
        held_out=_HELD_OUT if flag_values.held_out is None else flag_values.held_out,
        packing=flag_values.packing,
        pairs=flag_values.pairs,
        cross_documents=flag_values.cross_documents,
        document=flag_values.document,
        text_field=flag_values.text_field,
        progress=watch,
    )


def _import(flag_values, watch):
    from electra_tf.data.corpus import named
    from electra_tf.data.import_google_records import import_records

    if senseless := [f"--{name}" for name in OF_TEXT if flag_values[name].present]:
        raise ConfigError(
            f"--records together with {', '.join(senseless)}",
            where="--records",
            expected="--vocab, --length, --held_out and --output",
            remedy="leave the others out: the records are taken as they are",
        )
    return import_records(
        named(flag_values.records),
        flag_values.vocab,
        flag_values.output,
        length=flag_values.length,
        held_out=flag_values.held_out or 0.0,
        progress=watch,
    )


class _Watch:
    """Shows progress on standard error, and keeps the times."""

    def __init__(self):
        self._bar = None
        self.start = self.last = None
        self.kept, self.is_there = 0, False

    def __call__(self, progress) -> None:
        from tqdm import tqdm

        self.last = progress
        if progress.stage == "start":
            self.start = progress
            return
        if progress.stage == "there":
            self.is_there = True
            return
        if progress.stage == "warning":
            self.end()
            print(f"warning: {progress.name}", file=sys.stderr)
            return
        self.kept += progress.kept
        if self._bar is None or self._bar.desc != progress.stage:
            self.end()
            options = {"unit": "B", "unit_scale": True} if progress.stage == "units" else {"unit": " shards"}
            self._bar = tqdm(total=progress.total, desc=progress.stage, file=sys.stderr, mininterval=1, **options)
        self._bar.update(max(0, progress.done - self._bar.n))

    def end(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def facts(self) -> dict:
        seconds = self.last.seconds - self.start.seconds
        return {
            "start_up_seconds": round(self.start.seconds, 2),
            "seconds": round(seconds, 2),
            "megabytes_per_second": round(self.last.text_bytes / 1e6 / seconds, 2) if seconds else None,
            "kept_from_earlier_build": self.kept,
            "is_there_already": self.is_there,
        }


def _pairs_in_words(split):
    alone = split["examples"] - split["pairs"]
    return f", {split['pairs']:,} of them pairs" + (f"; {alone:,} too short for two segments" if alone else "")


def _records_in_words(name, split, facts):
    if not split["examples"]:
        return f"  {name:<9} nothing: --held_out 0.01 would keep the last records for evaluation"
    kinds = {"masked_lm_positions": "masks", "next_sentence_labels": "the order of segments"}
    stored = " and ".join(kind for feature, kind in kinds.items() if feature in facts["features"])
    return (
        f"  {name:<9} {split['tokens']:,} tokens, {split['examples']:,} examples, {split['fill_rate']:.1%} full"
        + (_pairs_in_words(split) if facts["pairs"] else "")
        + (f"; with {stored} drawn when they were made" if stored else "")
    )


def _in_words(facts):
    files, megabytes = facts["input"]["files"], facts["input"]["bytes"] / 1e6
    made_of = "text" if facts["train"]["documents"] else "records"
    lines = [f"{facts['output']}: made of {files:,} files, {megabytes:,.1f} MB of {made_of}"]
    for name in ("train", "held_out"):
        split = facts[name]
        if split["documents"] is None:
            lines.append(_records_in_words(name, split, facts))
            continue
        lost = 1 - split["tokens"] / split["corpus_tokens"] if split["corpus_tokens"] else 0
        lines.append(
            f"  {name:<9} {split['documents']:,} documents, {split['tokens']:,} tokens, "
            f"{split['examples']:,} examples, {split['fill_rate']:.1%} full"
            + (f", {split['unknown_rate']:.1%} unknown" if split["unknown_rate"] else "")
            + (f", {lost:.1%} of the tokens dropped by the packer" if lost > 0 else "")
            + (f", {-lost:.1%} of the tokens there twice, as second parts of pairs" if lost < 0 else "")
            + (_pairs_in_words(split) if facts["pairs"] else "")
        )
    if facts["is_there_already"]:
        return "\n".join([*lines, f"  it was there already, whole, of the same {made_of} by the same settings"])
    lines.append(
        f"  {facts['megabytes_per_second']} MB of {made_of} a second for {facts['seconds']} s, "
        f"after a start-up of {facts['start_up_seconds']} s"
    )
    if facts["kept_from_earlier_build"]:
        lines.append(f"  {facts['kept_from_earlier_build']} units and shards were kept from an earlier build")
    return "\n".join(lines)
