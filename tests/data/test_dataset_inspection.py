"""What is told of a data set: counts, lengths, decoded examples."""

import dataclasses
import json

from electra_tf.data.dataset_inspection import describe
from electra_tf.data.manifest import Split
from electra_tf.data.reader import DataSet


def test_a_data_set_is_described_with_counts_lengths_and_decoded_examples(data, english):
    facts = describe(DataSet.open(data), examples=2)
    assert json.loads(json.dumps(facts)) == facts
    train = facts["splits"]["train"]
    assert sum(train["lengths"].values()) == train["examples"]
    assert list(train["lengths"])[:2] == ["1-8", "9-16"]
    assert 0.8 < train["fill rate"] < 1
    assert len(train["decoded"]) == 2
    for text in train["decoded"]:
        assert text.startswith("[CLS] ")
        words = text.removeprefix("[CLS] ").split(" [SEP]")[0].split()[3:6]
        assert all(word in english.lower() for word in words)


def test_what_a_manifest_does_not_say_is_counted(data):
    dataset = DataSet.open(data)
    expected = describe(dataset)["splits"]["train"]
    bare = {name: Split(examples=split.examples) for name, split in dataset.manifest.splits.items()}
    dataset.manifest = dataclasses.replace(dataset.manifest, splits=bare)
    found = describe(dataset)["splits"]["train"]
    assert found["lengths"] == expected["lengths"]
    assert found["fill rate"] == expected["fill rate"]
