"""What raw.ts does, by Python's onnxruntime: the same graph, the same batches, as many threads."""

import base64
import json
import sys
import time

import numpy as np
import onnxruntime

CHECKED_PART = 8
TOLERANCE = 1e-5


def batches_of(tokens, size):
    """The shortest texts first, padded at the end."""
    order = sorted(range(len(tokens)), key=lambda index: (len(tokens[index]), index))
    for start in range(0, len(order), size):
        indices = order[start : start + size]
        width = max(len(tokens[index]) for index in indices)
        ids = np.zeros((len(indices), width), np.int64)
        mask = np.zeros((len(indices), width), np.int64)
        for row, index in enumerate(indices):
            ids[row, : len(tokens[index])] = tokens[index]
            mask[row, : len(tokens[index])] = 1
        yield indices, {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def mean_of(hidden, mask):
    """As transformers.js does: token by token in float64, so that equal states have equal means."""
    total = np.zeros((hidden.shape[0], hidden.shape[2]), np.float64)
    for token in range(hidden.shape[1]):
        total += hidden[:, token].astype(np.float64) * mask[:, token, None]
    return (total / mask.sum(axis=1)[:, None]).astype(np.float32)


def main():
    asked = json.loads(sys.argv[1])
    with open(asked["inputs"], encoding="utf8") as file:
        inputs = json.load(file)
    reference = {
        one["index"]: np.frombuffer(base64.b64decode(one["pooled"]), "<f4") for one in inputs["reference"]
    }
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = asked["threads"]
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(asked["graph"], options, providers=["CPUExecutionProvider"])
    count = -(-asked["count"] // CHECKED_PART) if asked["check"] else asked["count"]
    tokens = inputs["tokens"][:count]
    compared = same = 0
    largest = 0.0
    figures = {}
    for size in asked["rows"]:
        batches = list(batches_of(tokens, size))
        session.run(["last_hidden_state"], batches[0][1])
        start = time.perf_counter()
        for _, feeds in batches:
            session.run(["last_hidden_state"], feeds)
        figures[f"rows{size} perText"] = (time.perf_counter() - start) / count
        for indices, feeds in batches if asked["check"] else (batches[0], batches[-1]):
            [hidden] = session.run(["last_hidden_state"], feeds)
            for index, vector in zip(indices, mean_of(hidden, feeds["attention_mask"])):
                if index not in reference:
                    continue
                compared += vector.size
                same += int((vector.view(np.uint32) == reference[index].view(np.uint32)).sum())
                off = float(np.abs(vector - reference[index]).max())
                if not off <= TOLERANCE:
                    sys.exit(f"text {index} is {off} off")
                largest = max(largest, off)
    if compared == 0:
        sys.exit("no answer was compared")
    result = {
        "seconds": min(figures.values()),
        "evidence": {"answers": "as they should be"},
        "figures": {**figures, "sameBits": same / compared, "largestDifference": largest},
    }
    print(f"\n{json.dumps(result)}")


main()
