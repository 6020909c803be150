const EXTENSIONS = /\.(?:pkl|pickle|pt|pth|ckpt|joblib|dill|cloudpickle)$/i
/** What PyTorch, Transformers, Diffusers, PEFT and Accelerate save with `torch.save` under a name that does not say so. */
const TORCH_BIN =
  /(?:^|\/)(?:(?:diffusion_)?pytorch_model|pytorch_lora_weights|adapter_model|training_args|optimizer|scheduler|scaler|random_states)[^/]*\.bin$/i

/** Whether a file of this name is one that Python opens with `pickle`, which runs what is in it. */
export function isPickleName(path: string): boolean {
  return EXTENSIONS.test(path) || TORCH_BIN.test(path)
}
