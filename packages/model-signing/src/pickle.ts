const EXTENSIONS = /\.(?:pkl|pickle|pt|pth|ckpt|joblib|dill|cloudpickle)$/i
/** What `torch.save` writes, whatever it is called; GGML and OpenVINO have formats of their own under that ending. */
const TORCH_BIN = /(?:^|\/)(?!(?:ggml|openvino)[^/]*$)[^/]*\.bin$/i

/** Whether a file of this name is one that Python opens with `pickle`, which runs what is in it. */
export function isPickleName(path: string): boolean {
  return EXTENSIONS.test(path) || TORCH_BIN.test(path)
}
