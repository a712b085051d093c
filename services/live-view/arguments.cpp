#include "live-view/arguments.hpp"

#include <charconv>
#include <functional>
#include <map>
#include <string_view>

#include <fmt/format.h>

namespace live_view {

namespace {

int whole_number(std::string_view name, std::string_view word, int min, int max) {
    int value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || end != word.data() + word.size() || value < min || value > max) {
        throw BadArgument(fmt::format("{}: got \"{}\", expected a whole number from {} to {}", name, word, min, max));
    }
    return value;
}

using Setter = std::function<void(Arguments&, const std::string&)>;

const std::map<std::string_view, Setter>& settings() {
    static const std::map<std::string_view, Setter> all{
        {"--host", [](Arguments& a, const std::string& word) { a.host = word; }},
        {"--port", [](Arguments& a, const std::string& word) { a.port = whole_number("--port", word, 1, 65535); }},
        {"--base-topic", [](Arguments& a, const std::string& word) { a.base_topic = word; }},
        {"--username", [](Arguments& a, const std::string& word) { a.username = word; }},
        {"--password-file", [](Arguments& a, const std::string& word) { a.password_file = word; }},
        {"--ca-file", [](Arguments& a, const std::string& word) { a.ca_file = word; }},
        {"--every",
         [](Arguments& a, const std::string& word) {
             constexpr int longest_s = 3600;
             a.line_period = std::chrono::seconds(whole_number("--every", word, 1, longest_s));
         }},
    };
    return all;
}

const std::map<std::string_view, bool Arguments::*>& switches() {
    static const std::map<std::string_view, bool Arguments::*> all{{"--lines", &Arguments::lines},
                                                                   {"--help", &Arguments::help},
                                                                   {"-h", &Arguments::help},
                                                                   {"--version", &Arguments::version}};
    return all;
}

}  // namespace

Arguments parse_arguments(std::span<const char* const> words) {
    Arguments arguments;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string_view word = words[i];
        if (const auto found = switches().find(word); found != switches().end()) {
            arguments.*found->second = true;
            continue;
        }
        const auto setting = settings().find(word);
        if (setting == settings().end()) {
            throw BadArgument(fmt::format("unknown argument \"{}\", see --help", word));
        }
        if (i + 1 == words.size()) {
            throw BadArgument(fmt::format("{} needs a value, see --help", word));
        }
        setting->second(arguments, words[++i]);
    }
    return arguments;
}

std::string help_text() {
    return "live-view: the state of the chargers, the house and the sun on one terminal screen\n\n"
           "usage: live-view [option]...\n"
           "  --host HOST            MQTT broker (default localhost)\n"
           "  --port PORT            (default 1883)\n"
           "  --base-topic TOPIC     (default twc)\n"
           "  --username NAME        (default: none)\n"
           "  --password-file FILE   the password, in a file\n"
           "  --ca-file FILE         connect with TLS and trust this authority\n"
           "  --lines                print a line now and then instead of a screen; always so when the output is\n"
           "                         not a terminal\n"
           "  --every SECONDS        how often such a line comes (default 5)\n"
           "  --version, --help\n\n"
           "It only reads. q or Ctrl-C ends it. NO_COLOR in the environment turns colours off; without a UTF-8\n"
           "locale it draws with ASCII.\n";
}

}  // namespace live_view
