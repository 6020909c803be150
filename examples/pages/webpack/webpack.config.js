export default {
  mode: 'production',
  entry: ['./main.js', './index.html'],
  output: { clean: true, filename: 'main.js' },
  // The runtime without its `.mjs` in it: worker.js says where that is.
  resolve: { conditionNames: ['onnxruntime-web-use-extern-wasm', '...'] },
  module: {
    rules: [{ test: /\.html$/, type: 'asset/resource', generator: { filename: '[name][ext]' } }],
  },
  // Of the runtime's files, which are large and come on the first visit.
  performance: { hints: false },
}
