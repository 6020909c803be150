import type { Block, CID } from '@x/cid'
import type {
  ChatMessage,
  GivenOptions,
  GraphValue,
  RAW_TENSORS,
  RawTensors,
  RunName,
  RunTokens,
  TaskName,
  TaskOutput,
  ToolChat,
} from '@x/infer-core'
import type { AbortOptions } from '@x/storage-core'

/** A model that may be asked for. */
export interface ServedModel {
  /** What clients may call it beside its CID, and what a listing calls it. */
  readonly name: string
  readonly cid: CID
  readonly tasks: readonly TaskName[]
  /** When it came to be served. */
  readonly createdAt: Date
}

/** What may be asked for: a closed list, in which nothing is opened because of a request. */
export interface ModelsPort {
  /** @param reference - A name, or a CID in its canonical text (version 1, base32). `undefined`: no such model. */
  find(reference: string, options: AbortOptions): Promise<ServedModel | undefined>
  list(): readonly ServedModel[]
  /**
   * Called when it is known that a request is about a model of the list. What it returns is called once, when the request has its answer, a
   * streamed one to its end. `undefined`: the model is gone meanwhile. Default: models do not go.
   */
  hold?(model: ServedModel): (() => void) | undefined
  /** What its repository says of a model of the list. */
  describe(model: ServedModel, options: AbortOptions): Promise<ModelFacts>
}

/** What a repository says of its model; what it does not say is `undefined`. */
export interface ModelFacts {
  /** Of the variant that is run; of several sessions those of each. */
  dtype: string | undefined
  /** Of one text, those that the tokenizer adds included. */
  maxTokens: number | undefined
  /** What a classifier gives, in the order of its outputs. */
  labels: readonly string[] | undefined
  /** How an embedding model makes one vector of those of the tokens. */
  pooling: string | undefined
}

/** What came of an input, as `TaskResult` of `@x/infer-node` has it. */
export interface InferenceAnswer<Name extends RunName> {
  output: TaskOutput<Name>
  from: 'computed' | 'memory' | 'disk' | 'joined' | 'remote'
  /** Who computed it, by the name that it has here, where that was elsewhere. */
  endpoint?: string | undefined
  /** Of a result, or of what is known of one that was computed elsewhere. */
  receiptCid: CID
  /** The receipt's, and of what it names what is no model. */
  blocks: readonly Block[]
  /** What the model read of the input; `undefined`: nobody counted it. */
  tokens: RunTokens | undefined
}

export interface InferenceRunOptions extends AbortOptions {
  /** The task's own. */
  options?: GivenOptions | undefined
  /** Who asks. */
  caller: string
  /** Called with each new piece of a text while it is generated, without the prompt. What was kept comes in no pieces. */
  onText?: ((piece: string) => void) | undefined
  /** `bypass`: what comes of it is neither looked up nor kept, as nobody will ask for it again. Default: as what runs it is set up. */
  cache?: 'bypass' | undefined
}

/** What a model may be asked for, and what it is given. Bytes are those of a file, never its path: nothing is opened because of a request. */
export interface ServedInputs {
  'feature-extraction': string
  /** Of two texts, which are read together, a pair. */
  'text-classification': string | TextPair
  rerank: { query: string; documents: readonly string[] }
  /** A prompt, or a chat for the model's template. */
  'text-generation': string | readonly ChatMessage[] | ToolChat
  /** A text for the chat template, and an image as a file holds it. */
  'image-text-to-text': { text: string; image: Uint8Array }
  /** Of any model with a tokenizer. */
  tokenize: string
}

export type ServedTask = keyof ServedInputs

export interface TextPair {
  text: string
  text_pair: string
}

/** What a model may be served for. */
export const SERVED_TASKS: readonly ServedTask[] = [
  'feature-extraction',
  'text-classification',
  'rerank',
  'text-generation',
  'image-text-to-text',
]

export const isServedTask = (task: string): task is ServedTask => SERVED_TASKS.some((served) => served === task)

/** Which graph of a model, by its path or its variant. Default: its only one, or the one that is run for its tasks. */
export interface GraphChoice {
  file?: string | undefined
  dtype?: string | undefined
}

/** A graph of a model, as `GraphSession` of `@x/infer-node` is one. */
export interface GraphPort {
  /** Its path in the model. */
  readonly file: string
  readonly inputs: readonly GraphValue[]
  readonly outputs: readonly GraphValue[]
  /**
   * @param options.outputs - Names of those that are wanted. Default: all.
   * @throws {InvalidInputError} An input is missing, unknown, or of another type or shape than the graph takes.
   */
  run(
    feeds: RawTensors,
    options: Pick<InferenceRunOptions, 'caller' | 'signal'> & { outputs?: readonly string[] | undefined },
  ): Promise<InferenceAnswer<typeof RAW_TENSORS>>
}

/** What runs models. Inputs that are asked for at the same time may share a run. */
export interface InferencePort {
  run<Name extends ServedTask>(
    task: Name,
    model: ServedModel,
    input: ServedInputs[Name],
    options: InferenceRunOptions,
  ): Promise<InferenceAnswer<Name>>
  /**
   * A graph of a model, to be run on tensors as they are.
   *
   * @throws {InvalidInputError} The model has no such graph, or several, and it is not said which.
   */
  graph(model: ServedModel, choice: GraphChoice & AbortOptions): Promise<GraphPort>
  /** `false`: what it is served for is left alone for a while, for what ran it crashed again and again. */
  isReady(model: ServedModel): boolean
}

/** Where receipts are until somebody asks for them. */
export interface ReceiptsPort {
  /** @param blocks - Of a receipt its own, and of what it names what is no model; of a list the list's. */
  keep(cid: CID, blocks: readonly Block[]): void
  /** `undefined`: none, or it is gone. */
  get(cid: CID, options: AbortOptions): Promise<readonly Block[] | undefined>
}

export interface InferencePorts {
  inference: InferencePort
  models: ModelsPort
  receipts: ReceiptsPort
}
