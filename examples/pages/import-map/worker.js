// Import maps do not reach into workers: this one comes with all it needs, but for the runtime's files beside it.
import './vendor/inference-worker.js'
