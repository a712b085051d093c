#include "house-sim/http_parts.hpp"

#include <algorithm>
#include <charconv>

namespace house_sim {

namespace {

std::string lower(std::string text) {
    std::ranges::transform(text, text.begin(), [](unsigned char c) {
        return static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    });
    return text;
}

std::string decoded(const std::string& text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned value = 0;
        if (text[i] == '%' && i + 2 < text.size() &&
            std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16).ptr == text.data() + i + 3) {
            plain.push_back(static_cast<char>(value));
            i += 2;
        } else {
            plain.push_back(text[i] == '+' ? ' ' : text[i]);
        }
    }
    return plain;
}

}  // namespace

http::Response json_response(int status, const nlohmann::json& body) {
    return {.status = status,
            .headers = {{"content-type", "application/json"}},
            .body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
}

std::string url_path(const std::string& url) {
    const auto scheme = url.find("://");
    const auto begin = scheme == std::string::npos ? 0 : url.find('/', scheme + 3);
    if (begin == std::string::npos) {
        return "/";
    }
    return url.substr(begin, url.find('?', begin) - begin);
}

std::string url_query(const std::string& url) {
    const auto mark = url.find('?');
    return mark == std::string::npos ? "" : url.substr(mark + 1);
}

std::string parameter(const std::string& form, const std::string& name) {
    const std::string all = "&" + form;
    const auto at = all.find("&" + name + "=");
    if (at == std::string::npos) {
        return {};
    }
    const auto begin = at + name.size() + 2;
    return decoded(all.substr(begin, all.find('&', begin) - begin));
}

std::string request_header(const http::Request& request, const std::string& name) {
    const auto found =
        std::ranges::find_if(request.headers, [&](const auto& header) { return lower(header.first) == name; });
    return found == request.headers.end() ? "" : found->second;
}

std::string bearer_token(const http::Request& request) {
    constexpr std::string_view scheme = "Bearer ";
    const std::string value = request_header(request, "authorization");
    return value.starts_with(scheme) ? value.substr(scheme.size()) : "";
}

std::optional<std::optional<http::Response>> faulty_response(Fault fault) {
    switch (fault) {
        case Fault::silence:
            return std::optional<http::Response>();
        case Fault::error:
            return json_response(500, {{"response", nullptr}, {"error", "internal error (simulated)"}});
        case Fault::unauthorized:
            return json_response(401, {{"response", nullptr}, {"error", "token expired (401)"}});
        case Fault::rate_limited: {
            auto limited = json_response(429, {{"response", nullptr}, {"error", "Retry in 37 seconds"}});
            limited.headers.emplace("retry-after", "37");
            limited.headers.emplace("ratelimit-remaining", "0");
            return limited;
        }
        case Fault::none:
        case Fault::not_a_number:
            break;
    }
    return std::nullopt;
}

}  // namespace house_sim
