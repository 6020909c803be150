/** The folder of the model: a transformers.js model repository (config, tokenizer, `onnx/`). */
export declare const modelDirectory: URL
