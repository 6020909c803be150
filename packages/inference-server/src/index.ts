export type { Admit, Admitted, RouteAsked, Scope } from './admit.ts'
export { toErrorAnswer } from './dialect.ts'
export { HttpError, toHttpError, type ErrorType, type HttpErrorOptions } from './http-error.ts'
export { createInferenceHandler } from './inference-handler.ts'
export type { InferenceHandlerOptions, InferenceRequestEvent } from './inference-options.ts'
export type {
  GraphChoice,
  GraphPort,
  InferenceAnswer,
  InferencePort,
  InferencePorts,
  InferenceRunOptions,
  ModelFacts,
  ModelsPort,
  ReceiptsPort,
  ServedInputs,
  ServedModel,
  ServedTask,
  TextPair,
} from './ports.ts'
export { readJson, type BodyLimits } from './read-body.ts'
export { createReceiptMemory } from './receipt-memory.ts'
export { isServedTask, SERVED_TASKS } from './ports.ts'
export { openApiDocument, type OpenApiDocument, type OpenApiDocumentOptions } from './openapi/document.ts'
export { inferencePart } from './openapi/inference-part.ts'
export { documentPage, type DocumentPage } from './openapi/page.ts'
export type { JsonObject } from './openapi/json-schema.ts'
export type { OpenApiOperation, OpenApiPart } from './openapi/open-api-part.ts'
