export { readKey, withKeys, withoutKey, type Assignment } from './edit-configuration.ts'
export { endpointsOf, type ConfiguredEndpoint, type EndpointToAsk, type TokenOptions } from './endpoints-of.ts'
export { loadConfiguration, type Configuration, type LoadConfigurationOptions } from './load-configuration.ts'
export { CONFIGURATION_VARIABLE, FILE_NAME, projectFile, userFile } from './places.ts'
