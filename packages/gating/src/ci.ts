import type { Environment } from './environment.ts'
import { readVariable } from './environment.ts'
import { booleanWord } from './words.ts'

/** A continuous integration service and the variable it sets in every job. */
export interface CiService {
  readonly name: string
  readonly variable: string
}

/**
 * The services that are told apart. Most also set `CI`; Jenkins, TeamCity, Azure Pipelines, CodeBuild, Bamboo and GoCD do
 * not. Platforms that host programs (Vercel, Netlify, Heroku, Render) are absent: what runs there may be the program at work.
 */
export const CI_SERVICES: readonly CiService[] = [
  // Gitea runs GitHub's actions and sets GITHUB_ACTIONS too, so it comes first.
  { name: 'Gitea Actions', variable: 'GITEA_ACTIONS' },
  { name: 'GitHub Actions', variable: 'GITHUB_ACTIONS' },
  { name: 'GitLab CI', variable: 'GITLAB_CI' },
  { name: 'Jenkins', variable: 'JENKINS_URL' },
  { name: 'CircleCI', variable: 'CIRCLECI' },
  { name: 'Travis CI', variable: 'TRAVIS' },
  { name: 'Azure Pipelines', variable: 'TF_BUILD' },
  { name: 'Buildkite', variable: 'BUILDKITE' },
  { name: 'TeamCity', variable: 'TEAMCITY_VERSION' },
  { name: 'Bitbucket Pipelines', variable: 'BITBUCKET_BUILD_NUMBER' },
  { name: 'AppVeyor', variable: 'APPVEYOR' },
  { name: 'Drone', variable: 'DRONE' },
  { name: 'AWS CodeBuild', variable: 'CODEBUILD_BUILD_ID' },
  { name: 'Semaphore', variable: 'SEMAPHORE' },
  { name: 'Cirrus CI', variable: 'CIRRUS_CI' },
  { name: 'Bamboo', variable: 'bamboo_planKey' },
  { name: 'Bitrise', variable: 'BITRISE_IO' },
  { name: 'Buddy', variable: 'BUDDY_WORKSPACE_ID' },
  { name: 'GoCD', variable: 'GO_PIPELINE_LABEL' },
]

/** Set by services of every make; Woodpecker sets `CI=woodpecker`, so any word but a false one counts. */
export const CI_VARIABLES: readonly string[] = ['CI', 'CONTINUOUS_INTEGRATION']

export interface CiDecision {
  readonly isCi: boolean
  /** The service by name; `undefined` when only `CI` is known, or when this is not CI. */
  readonly service: string | undefined
  /** The variable that decided, and its value; `undefined` when there was none. */
  readonly variable: string | undefined
  readonly value: string | undefined
  /** One sentence, for people. */
  readonly reason: string
}

/**
 * Whether this is a continuous integration job. A false word in `CI` says no, whatever else is set, so that a person can
 * say so; an empty one is unset. A false word in a service's own variable only takes back that service.
 */
export function detectCi(environment: Environment): CiDecision {
  const ci = readVariable(environment, 'CI')
  if (ci !== undefined && booleanWord(ci) === false) {
    return { isCi: false, service: undefined, variable: 'CI', value: ci, reason: `Not CI, as CI=${ci} says.` }
  }
  for (const { name, variable } of CI_SERVICES) {
    const value = readVariable(environment, variable)
    if (value === undefined || booleanWord(value) === false) continue
    return { isCi: true, service: name, variable, value, reason: `CI: ${name}, as ${variable} shows.` }
  }
  for (const variable of CI_VARIABLES) {
    const value = readVariable(environment, variable)
    if (value === undefined || booleanWord(value) === false) continue
    return { isCi: true, service: undefined, variable, value, reason: `CI, as ${variable} says.` }
  }
  const reason = 'Not CI: no variable says so.'
  return { isCi: false, service: undefined, variable: undefined, value: undefined, reason }
}
