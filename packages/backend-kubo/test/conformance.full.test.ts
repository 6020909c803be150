import { describeConformance } from './describe-conformance.ts'

// As in the quick suite, and with more that writers do.
describeConformance({ writerSeeds: [1, 2, 3, 4, 5, 6] })
