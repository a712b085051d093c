#pragma once

#include <filesystem>

#include "config/section.hpp"
#include "policy-engine/twcmanager.hpp"
#include "policy-engine/types.hpp"

namespace policy_engine {

/// The configuration file, read.
struct ServiceConfig {
    Config core;
    Settings defaults;  ///< In force until people change them at run time.
    TwcManagerConfig twcmanager;
    Duration lease = std::chrono::seconds(20);
    std::filesystem::path state_file;  ///< Empty: nothing is kept.
};

/// Problems are reported through the section (see service::run). The whole file may be empty.
ServiceConfig read_config(const config::Section& root);

}  // namespace policy_engine
