import { describeConformance } from './describe-conformance.ts'

describeConformance({ writerSeeds: [1], writerSteps: 8 })
