"""`electra-tf data`: build a data set from text."""

import dataclasses
import json
import sys

from absl import flags

DESCRIPTION = "Builds a data set of shuffled TFRecords from text. A build that was stopped goes on where it was."
EXAMPLE = "electra-tf data --input 'text/*.txt' --vocab vocab --length 128 --output data"


def define_flags() -> None:
    flags.DEFINE_multi_string(
        "input",
        None,
        "Text: files or patterns (.txt, .jsonl, also .gz, .xz), comma-separated or repeated.",
    )
    flags.DEFINE_string(
        "vocab", None, "A folder made by `electra-tf vocab` or of Hugging Face, a vocab.txt or a .model."
    )
    flags.DEFINE_string("output", None, "Folder for the data set; new or empty.")
    flags.DEFINE_integer("length", 128, "Tokens of an example, [CLS] and [SEP] included.")
    flags.DEFINE_integer("processes", None, "Worker processes; by default by the cores and the size of the input.")
    flags.DEFINE_integer("seed", 0, "Of the shuffle and of the choice of segments.")
    flags.DEFINE_float("held_out", 0.01, "Share of the documents kept for evaluation.")
    flags.DEFINE_enum(
        "packing",
        "lossless",
        ["lossless", "original"],
        "Keep every token, or pack as published with ELECTRA.",
    )
    flags.DEFINE_boolean("cross_documents", False, "Let an example go on into the next document.")
    flags.DEFINE_enum(
        "document",
        "blank_line",
        ["blank_line", "line"],
        "What ends a document of a text file, beside its end.",
    )
    flags.DEFINE_string("text_field", "text", "The field of a .jsonl line that holds the text.")
    flags.DEFINE_boolean("json", False, "Print the summary as JSON.")
    flags.mark_flags_as_required(["input", "vocab", "output"])


def run(flag_values) -> None:
    from electra_tf.data.builder import build_data

    watch = _Watch()
    manifest = build_data(
        [pattern for value in flag_values.input for pattern in value.split(",")],
        flag_values.vocab,
        flag_values.output,
        length=flag_values.length,
        processes=flag_values.processes,
        seed=flag_values.seed,
        held_out=flag_values.held_out,
        packing=flag_values.packing,
        cross_documents=flag_values.cross_documents,
        document=flag_values.document,
        text_field=flag_values.text_field,
        progress=watch,
    )
    watch.end()
    facts = {"output": flag_values.output, "input": manifest.input, **watch.facts()}
    for name, split in manifest.splits.items():
        facts[name] = dataclasses.asdict(split)
        del facts[name]["lengths"]
    print(json.dumps(facts) if flag_values.json else _in_words(facts))


class _Watch:
    """Shows progress on standard error, and keeps the times."""

    def __init__(self):
        self._bar = None
        self.start = self.last = None
        self.kept = 0

    def __call__(self, progress) -> None:
        from tqdm import tqdm

        self.last = progress
        if progress.stage == "start":
            self.start = progress
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

    def facts(self) -> dict:
        seconds = self.last.seconds - self.start.seconds
        return {
            "start_up_seconds": round(self.start.seconds, 2),
            "seconds": round(seconds, 2),
            "megabytes_per_second": round(self.last.text_bytes / 1e6 / seconds, 2) if seconds else None,
            "kept_from_earlier_build": self.kept,
        }


def _in_words(facts):
    files, megabytes = facts["input"]["files"], facts["input"]["bytes"] / 1e6
    lines = [f"{facts['output']}: made of {files:,} files, {megabytes:,.1f} MB of text"]
    for name in ("train", "held_out"):
        split = facts[name]
        lost = 1 - split["tokens"] / split["corpus_tokens"] if split["corpus_tokens"] else 0
        lines.append(
            f"  {name:<9} {split['documents']:,} documents, {split['tokens']:,} tokens, "
            f"{split['examples']:,} examples, {split['fill_rate']:.1%} full"
            + (f", {lost:.1%} of the tokens dropped by the packer" if lost else "")
        )
    lines.append(
        f"  {facts['megabytes_per_second']} MB of text a second for {facts['seconds']} s, "
        f"after a start-up of {facts['start_up_seconds']} s"
    )
    if facts["kept_from_earlier_build"]:
        lines.append(f"  {facts['kept_from_earlier_build']} units and shards were kept from an earlier build")
    return "\n".join(lines)
