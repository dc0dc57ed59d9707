"""Text in twelve scripts through `vocab`, `data` and `fill-mask` by their defaults: nothing is lost, or it is said."""

import json
import re
import unicodedata
from dataclasses import asdict
from typing import NamedTuple

import numpy as np
import pytest
from in_process import run_command

from electra_tf.checkpoints import pretrained, write_folder
from electra_tf.checkpoints.weight_names import model_tensors
from electra_tf.data.examples import decode
from electra_tf.data.manifest import read_manifest
from electra_tf.data.records import read_records
from electra_tf.models import EncoderConfig
from electra_tf.text.tokenizer import Tokenizer


class Script(NamedTuple):
    """Some lines, and what the defaults of `vocab` do: take them, or refuse to strip what is a letter."""

    lines: str
    refused: bool = False


SCRIPTS = {
    "Latin": Script(
        "Le cœur a ses raisons que la raison ne connaît point ; on le sait en mille choses.\n"
        "Ægir und Ødegård aßen Süßes in Łódź, Iğdır, Þingvellir und Český Krumlov.\n"
        "¿Dónde está el año pasado? El pingüino de Ibáñez comió ñandú."
    ),
    "Greek": Script(
        "Μῆνιν ἄειδε θεὰ Πηληϊάδεω Ἀχιλῆος οὐλομένην, ἣ μυρί᾽ Ἀχαιοῖς ἄλγε᾽ ἔθηκε.\n"
        "Ο Οδυσσέας ΓΥΡΙΣΕ σπίτι· ήταν άνοιξη και τα παιδιά έπαιζαν στους δρόμους."
    ),
    "Cyrillic": Script(
        "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему.\n"
        "Ёжик съел ещё йогурт. Як умру, то поховайте мене на могилі, серед степу широкого, на Вкраїні милій.\n"
        "Љубав њених ђака: џак, ћуп, Ђорђе."
    ),
    "Arabic": Script(
        "كان يا ما كان في قديم الزمان ملك له ثلاثة أبناء، وكان أصغرهم أحكمهم؛ فهل سمعتم قصته؟\n"
        "ذهب الولد إلى المدرسة ومعه كتاب ٣٤٥ صفحة.\n"
        "آن مرد کتاب‌های خود را می‌خواند و به خانه می‌رود.",
        refused=True,
    ),
    "Hebrew": Script(
        "בראשית ברא אלהים את השמים ואת הארץ. והארץ היתה תהו ובהו וחשך על פני תהום.\n"
        "הילד הלך לבית־הספר וקרא ספר; האם שמעתם את הסיפור? ד״ר כהן אמר שלא."
    ),
    "pointed Hebrew": Script("בְּרֵאשִׁית בָּרָא אֱלֹהִים אֵת הַשָּׁמַיִם וְאֵת הָאָרֶץ׃", refused=True),
    "Devanagari": Script(
        "धर्मक्षेत्रे कुरुक्षेत्रे समवेता युयुत्सवः। मामकाः पाण्डवाश्चैव किमकुर्वत सञ्जय॥\n"
        "मैं हर सुबह किताब पढ़ता हूँ और चाय पीता हूँ। क्‍या तुम १२३ गिन सकते हो?",
        refused=True,
    ),
    "Tamil": Script(
        "அகர முதல எழுத்தெல்லாம் ஆதி பகவன் முதற்றே உலகு.\nநான் காலையில் புத்தகம் படிக்கிறேன்; தேநீர் குடிக்கிறேன்.",
        refused=True,
    ),
    "Thai": Script("กาลครั้งหนึ่งนานมาแล้ว มีเด็กคนหนึ่งอยู่ในหมู่บ้าน\nที่นี่ดีมาก น้ำใสและเย็น ราคา ๑๒๐ บาท", refused=True),
    "Hangul": Script(
        "옛날 옛적에 깊은 산속에 호랑이가 살았습니다. 그는 떡을 좋아했어요!\n나는 아침마다 책을 읽는다.", refused=True
    ),
    "kana": Script(
        "むかしむかし、あるところに、おじいさんとおばあさんがありました。\nこれはガラスのコップです。ﾊﾟﾝ、ー々〜",
        refused=True,
    ),
    "Han": Script("學而時習之，不亦說乎？有朋自遠方來，不亦樂乎？\n我们每天早上读书，喝茶。𠮷野家、𩸽、㐂。"),
    "emoji": Script(
        "see 👩‍💻 and 👨‍👩‍👧‍👦 wave 👋🏽 at 🇰🇷 and 🇫🇷 ❤️ with 🏳️‍🌈 or 1️⃣ today 😀\n"
        "now 👩‍💻 looks 👨‍👩‍👧‍👦 back 👋🏽 from 🇰🇷 to 🇫🇷 ❤️ under 🏳️‍🌈 or 1️⃣ again 😀"
    ),
}


def options_of(script: Script) -> list[str]:
    return ["--nostrip_accents"] if script.refused else []


def kept(text: str, strips: bool) -> str:
    """What BERT's normalisation leaves of a text, blanks aside, by Unicode's tables alone."""
    text = "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf"))
    if strips:
        text = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
    return re.sub(r"\s", "", "".join(c.lower() for c in text))


# The settings of those that are refused take some seconds more.
PARAMS = [pytest.param(name, marks=[pytest.mark.slow] * SCRIPTS[name].refused) for name in SCRIPTS]


@pytest.fixture(scope="module", params=PARAMS)
def script(request):
    return SCRIPTS[request.param]


@pytest.fixture(scope="module")
def text(script, tmp_path_factory):
    path = tmp_path_factory.mktemp("script") / "text.txt"
    path.write_text("\n\n".join([script.lines] * 20) + "\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def vocabulary(script, text):
    """The vocabulary that a reader of the messages ends with, and what the command said at last."""
    command = ["vocab", "--input", text, "--size", "400", "--output", text.with_name("vocab")]
    done = run_command(*command)
    if script.refused:
        assert done.returncode == 2, done.stdout
        assert "would be removed" in done.stderr or "takes Hangul syllables apart" in done.stderr
        assert "--nostrip_accents" in done.stderr
        done = run_command(*command, *options_of(script))
    assert done.returncode == 0, done.stderr
    return text.with_name("vocab"), done


@pytest.fixture(scope="module")
def tokenizer(vocabulary):
    return Tokenizer.from_pretrained(vocabulary[0])


def test_every_character_is_known_and_what_is_stripped_is_said(script, vocabulary):
    folder, done = vocabulary
    report = json.loads((folder / "vocabulary_report.json").read_text())
    assert (report["unknown_rate"], report["alphabet_coverage"]) == (0, 1)
    words = [word for word in script.lines.split() if any(map(str.isalpha, word))]  # a sign's mark is no letter's
    changed = sum(kept(word, True) != kept(word, False) for word in words) / len(words)
    said = changed > 0.05 and not script.refused
    assert ("lose an accent" in done.stderr) == said
    joined = sum("\u200c" in word or "\u200d" in word for word in words) / len(script.lines.split())
    assert report["joined"] == pytest.approx(joined)
    assert ("lose a joiner" in done.stderr) == (joined > 0.01)
    assert script.refused or report["stripped"] == pytest.approx(changed, abs=0.05)


def test_decoding_gives_the_text_again(script, tokenizer):
    for line in script.lines.split("\n"):
        ids = tokenizer.encode(line).ids
        assert tokenizer.unk_id not in ids
        expected = kept(line, not script.refused)
        assert re.sub(r"\s", "", tokenizer.decode(ids)) == expected
        assert (
            "".join(t.removeprefix("##") for t in tokenizer.encode(line, add_special_tokens=False).tokens) == expected
        )


def test_ids_are_those_of_transformers(script, vocabulary, tokenizer):
    transformers = pytest.importorskip("transformers")
    classes = ("AutoTokenizer", "ElectraTokenizerFast", "BertTokenizerFast")
    lines = [*script.lines.split("\n"), script.lines, unicodedata.normalize("NFD", script.lines)]
    for name in classes:
        theirs = getattr(transformers, name).from_pretrained(vocabulary[0])
        for line in lines:
            assert theirs(line)["input_ids"] == tokenizer.encode(line).ids, name
        assert theirs.convert_ids_to_tokens(range(len(theirs))) == tokenizer.vocabulary


@pytest.mark.slow
def test_records_hold_the_text_in_both_engines(script, text, vocabulary, tokenizer, tmp_path):
    options = ["--length", "32", "--held_out", "0", "--processes", "0"]
    done = run_command("data", "--input", text, "--vocab", vocabulary[0], *options, "--output", tmp_path / "data")
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    manifest = read_manifest(tmp_path / "data")
    train = manifest.splits["train"]
    assert (train.unknown_rate, train.tokens) == (0, train.corpus_tokens)
    lines = script.lines.split("\n")
    assert train.corpus_tokens == 20 * sum(len(tokenizer.encode(line, add_special_tokens=False)) for line in lines)
    found = []
    for shard in manifest.shards:
        for record in read_records(tmp_path / "data" / shard.name):
            found += [i for i in decode(record)["input_ids"] if i not in tokenizer.special_ids]
    pieces = "".join(tokenizer.id_to_token(i).removeprefix("##") for i in found)
    assert sorted(pieces) == sorted(20 * kept(script.lines, not script.refused))
    fast, reference = (tokenizer.line_tokenizer(engine)(lines)[0] for engine in ("fast", "reference"))
    np.testing.assert_array_equal(fast, reference)


@pytest.mark.slow
def test_a_mask_is_filled_in_beside_the_words_of_the_text(script, vocabulary, tokenizer, tmp_path):
    config = EncoderConfig(
        vocab_size=len(tokenizer), hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    table = model_tensors(asdict(config), "generator", ("masked_lm",))
    rng = np.random.default_rng(0)
    weights = {t.ours: rng.normal(size=t.shape("ours")).astype("float32") for t in table}
    write_folder(tmp_path / "generator", pretrained("generator", config, weights), str(vocabulary[0]))
    sentence = f"{script.lines.split()[0]} [MASK] {script.lines.split()[1]}"
    done = run_command("fill-mask", "--input", tmp_path / "generator", "--json", sentence)
    assert done.returncode == 0, done.stderr
    assert "note" not in done.stderr
    (answer,) = json.loads(done.stdout)
    ids = tokenizer.encode(sentence, special_tokens_in_text=True).ids
    assert [mask["position"] for mask in answer["masks"]] == [ids.index(tokenizer.mask_id)]
    done = run_command("fill-mask", "--input", tmp_path / "generator", "--json", f"\u16a0\u16a2 {sentence}")
    assert done.returncode == 0
    assert "\u16a0\u16a2" in done.stderr and "[UNK]" in done.stderr
