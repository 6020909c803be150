import { describeConformance } from './describe-conformance.ts'

// It takes a minute and a half: a daemon answers each step.
describeConformance({ writerSeeds: [1, 2, 3, 4, 5, 6] })
