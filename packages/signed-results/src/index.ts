export { acceptResults, type AcceptedResults, type AcceptResultsOptions } from './accept-results.ts'
export { packResults, type PackedResults, type PackResultsOptions } from './pack-results.ts'
