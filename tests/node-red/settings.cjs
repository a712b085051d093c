// For a Node-RED that lives as long as a test; its port and folder come from flows_test.mjs.
module.exports = {
    uiHost: "127.0.0.1",
    uiPort: Number(process.env.NODE_RED_PORT),
    userDir: process.env.NODE_RED_FOLDER,
    flowFile: "flows.json",
    credentialSecret: "of this test",
    telemetry: {enabled: false, updateNotification: false},
    externalModules: {autoInstall: false, palette: {allowInstall: false}, modules: {allowInstall: false}},
    diagnostics: {enabled: false},
    logging: {console: {level: "info", metrics: false, audit: false}},
};
