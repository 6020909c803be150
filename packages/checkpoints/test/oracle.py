"""What the Python package `safetensors` says of files, for tests to compare with.

Reads a JSON list of files in base64, and prints for each the tensors that it finds, or null where it refuses the file.
"""

import base64
import hashlib
import json
import sys

import safetensors


def listed(data):
    try:
        found = safetensors.deserialize(data)
    except safetensors.SafetensorError:
        return None
    return [
        {
            "name": name,
            "dtype": each["dtype"],
            "shape": list(each["shape"]),
            "sha256": hashlib.sha256(bytes(each["data"])).hexdigest(),
        }
        for name, each in found
    ]


print(json.dumps([listed(base64.b64decode(each)) for each in json.load(sys.stdin)]))
