/** The folder of the model: a transformers.js model repository (config, tokenizer, `onnx/`). */
export const modelDirectory = new URL('./model/', import.meta.url)
