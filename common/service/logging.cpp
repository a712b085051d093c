#include "service/logging.hpp"

#include <iterator>
#include <memory>

#include <nlohmann/json.hpp>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "contract/schema.hpp"

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
        const std::string text = contract::to_text(line) + "\n";
        target.append(text.data(), text.data() + text.size());
    }

    std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<JsonLines>(service_); }

private:
    std::string service_;
};

// A message may quote a stranger: no line feed of his may forge a line, no escape code reach the terminal.
class OneLine final : public spdlog::custom_flag_formatter {
public:
    void format(const spdlog::details::log_msg& message, const std::tm& /*time*/,
                spdlog::memory_buf_t& target) override {
        for (const char c : message.payload) {
            const auto byte = static_cast<unsigned char>(c);
            if (byte < 0x20 || byte == 0x7f) {
                fmt::format_to(std::back_inserter(target), "\\x{:02x}", byte);
            } else {
                target.push_back(c);
            }
        }
    }

    std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<OneLine>(); }
};

std::unique_ptr<spdlog::formatter> text_lines() {
    auto formatter = std::make_unique<spdlog::pattern_formatter>();
    formatter->add_flag<OneLine>('*').set_pattern("%Y-%m-%d %H:%M:%S.%e %^%-5l%$ %n: %*");
    return formatter;
}

}  // namespace

void set_up_logging(const std::string& service, const LogSettings& settings) {
    auto logger = std::make_shared<spdlog::logger>(service, std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    if (settings.format == "json") {
        logger->set_formatter(std::make_unique<JsonLines>(service));
    } else {
        logger->set_formatter(text_lines());
    }
    logger->set_level(spdlog::level::from_str(settings.level));  // the level's name has been checked by the config
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(logger));
}

// The logger itself stays: other threads may be using it at this moment.
void set_log_level(const std::string& level) { spdlog::default_logger()->set_level(spdlog::level::from_str(level)); }

}  // namespace service
