export {
  acceptResults,
  type AcceptedResults,
  type AcceptResultsOptions,
  type Dispute,
  type DisputedResult,
} from './accept-results.ts'
export { packResults, type PackedResults, type PackResultsOptions } from './pack-results.ts'
