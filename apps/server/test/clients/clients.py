"""What clients of others are asked to do against the server under test; prints one line of JSON."""

import hashlib
import json
import pathlib
import sys

import numpy
import openai
import tritonclient.http as triton
from huggingface_hub import InferenceClient, snapshot_download
from huggingface_hub.errors import HfHubHTTPError
from tritonclient.utils import InferenceServerException

asked = json.loads(sys.argv[1])
URL = asked["url"]


def error_of(call):
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("no error")


def tensors():
    client = triton.InferenceServerClient(URL.removeprefix("http://"))
    model = asked["graph"]

    def infer(binary, integers=(3, -(2**53) + 1), shape=(2,)):
        values = {
            "float32": ("FP32", numpy.array([1.5, -2.25], numpy.float32)),
            "int64": ("INT64", numpy.array(integers, numpy.int64)),
            "string": ("BYTES", numpy.array(["é".encode(), b""], numpy.object_)),
        }
        inputs = []
        for name, (datatype, array) in values.items():
            one = triton.InferInput(name, list(array.shape), datatype)
            one.set_data_from_numpy(array, binary_data=binary)
            inputs.append(one.set_shape(list(shape)))
        outputs = [triton.InferRequestedOutput(f"{name}_out", binary_data=binary) for name in values]
        result = client.infer(model, inputs, outputs=outputs, request_id="seven")
        given = {name: result.as_numpy(f"{name}_out") for name in values}
        texts = [text if isinstance(text, str) else text.decode() for text in given["string"].tolist()]
        exact = all(numpy.array_equal(given[name], values[name][1]) for name in ("float32", "int64"))
        return [exact, texts, result.get_response()["id"]]

    metadata = client.get_model_metadata(model)
    wrong = error_of(lambda: infer(True, shape=(3,)))
    absent = error_of(lambda: client.get_model_metadata("none"))
    return {
        "ready": [client.is_server_live(), client.is_server_ready(), client.is_model_ready(model), client.is_model_ready("none")],
        "server": sorted(client.get_server_metadata()),
        "metadata": [[one["name"], one["datatype"], one["shape"]] for one in metadata["inputs"]],
        "binary": infer(True, (2**53 + 1, -(2**62))),
        "json": infer(False),
        "wrong": [isinstance(wrong, InferenceServerException), wrong.status(), wrong.message()],
        "absent": [isinstance(absent, InferenceServerException), absent.status()],
    }


def hub():
    folder = pathlib.Path(snapshot_download(asked["repo"]))
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def inference():
    def of(model):
        return InferenceClient(model=f"{URL}/models/{model}", token="none")

    chat = InferenceClient(base_url=f"{URL}/v1", token="none")
    stream = chat.chat_completion([{"role": "user", "content": "the quick"}], model=asked["decoder"], stream=True)
    # It closes its streams when it is gone.
    decoder = of(asked["decoder"])
    named = decoder.chat_completion([{"role": "user", "content": "the quick"}], stream=True)
    absent = error_of(lambda: of("none").feature_extraction("a"))
    return {
        "vector": of(asked["embedder"]).feature_extraction("hello world").flatten().tolist(),
        "labels": [[one.label, one.score] for one in of(asked["classifier"]).text_classification("good")],
        "stream": [text for text in (piece.choices[0].delta.content for piece in stream) if text],
        "named": [text for text in (piece.choices[0].delta.content for piece in named) if text],
        "absent": [isinstance(absent, HfHubHTTPError), absent.response.status_code],
    }


def of_openai():
    client = openai.OpenAI(base_url=f"{URL}/v1", api_key="none", max_retries=0)
    messages = [{"role": "user", "content": "the quick"}]
    stream = client.chat.completions.create(model=asked["decoder"], messages=messages, stream=True)
    limited = openai.OpenAI(base_url=f"{asked['limited']}/v1", api_key=asked["token"], max_retries=0)
    once = limited.embeddings.create(model=asked["embedder"], input="hello world")
    errors = {
        "absent": error_of(lambda: client.embeddings.create(model="none", input="a")),
        "empty": error_of(lambda: client.embeddings.create(model=asked["embedder"], input="")),
        "often": error_of(lambda: limited.embeddings.create(model=asked["embedder"], input="a")),
    }
    return {
        "models": [model.id for model in client.models.list()],
        "vector": client.embeddings.create(model=asked["embedder"], input="hello world").data[0].embedding,
        "numbers": client.embeddings.create(
            model=asked["embedder"], input="hello world", encoding_format="float"
        ).data[0].embedding,
        "once": once.data[0].embedding,
        "stream": [text for text in (piece.choices[0].delta.content for piece in stream) if text],
        "errors": {name: [type(error).__name__, error.status_code, error.code] for name, error in errors.items()},
    }


print(json.dumps({"tensors": tensors(), "hub": hub(), "inference": inference(), "openai": of_openai()}))
