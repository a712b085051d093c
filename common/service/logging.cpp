#include "service/logging.hpp"

#include <memory>

#include <nlohmann/json.hpp>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "contract/timestamp.hpp"

namespace service {

namespace {

// spdlog's patterns cannot escape a message, and a message may quote anything.
class JsonLines final : public spdlog::formatter {
public:
    explicit JsonLines(std::string service) : service_(std::move(service)) {}

    void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& target) override {
        const auto level = spdlog::level::to_string_view(message.level);
        const nlohmann::json line{{"ts", contract::format_timestamp(message.time)},
                                  {"level", std::string(level.data(), level.size())},
                                  {"service", service_},
                                  {"message", std::string(message.payload.data(), message.payload.size())}};
        const std::string text = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
        target.append(text.data(), text.data() + text.size());
    }

    std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<JsonLines>(service_); }

private:
    std::string service_;
};

}  // namespace

void set_up_logging(const std::string& service, const LogSettings& settings) {
    auto logger = std::make_shared<spdlog::logger>(service, std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    if (settings.format == "json") {
        logger->set_formatter(std::make_unique<JsonLines>(service));
    } else {
        logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%-5l%$ %n: %v");
    }
    logger->set_level(spdlog::level::from_str(settings.level));  // the level's name has been checked by the config
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(logger));
}

}  // namespace service
