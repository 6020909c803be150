export { endpointsOf, type ConfiguredEndpoint, type EndpointToAsk, type TokenOptions } from './endpoints-of.ts'
export { loadConfiguration, type Configuration, type LoadConfigurationOptions } from './load-configuration.ts'
export { CONFIGURATION_VARIABLE, FILE_NAME, userFile } from './places.ts'
