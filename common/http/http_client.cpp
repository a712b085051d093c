#include "http/http_client.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include <curl/curl.h>
#include <fmt/format.h>

namespace http {

namespace {

constexpr std::size_t max_body_bytes = 4UL * 1024 * 1024;

struct Received {
    Response response;
    bool too_large = false;
    std::array<char, CURL_ERROR_SIZE> detail{};
};

extern "C" std::size_t twc_curl_body(char* data, std::size_t size, std::size_t count, void* user) {
    auto& received = *static_cast<Received*>(user);
    if (received.response.body.size() + size * count > max_body_bytes) {
        received.too_large = true;
        return 0;
    }
    received.response.body.append(data, size * count);
    return size * count;
}

extern "C" std::size_t twc_curl_header(char* data, std::size_t size, std::size_t count, void* user) {
    auto& received = *static_cast<Received*>(user);
    const std::string_view line(data, size * count);
    if (line.starts_with("HTTP/")) {
        received.response.headers.clear();  // "100 Continue" comes before the real answer
    }
    const auto colon = line.find(':');
    if (colon != std::string_view::npos && received.response.headers.size() < 200) {
        std::string name(line.substr(0, colon));
        std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        const auto begin = line.find_first_not_of(" \t", colon + 1);
        const auto end = line.find_last_not_of(" \t\r\n");
        std::string value;
        if (begin != std::string_view::npos && end != std::string_view::npos && end >= begin) {
            value = line.substr(begin, end - begin + 1);
        }
        received.response.headers.emplace(std::move(name), std::move(value));
    }
    return size * count;
}

struct FreeUrl {
    void operator()(CURLU* url) const { curl_url_cleanup(url); }
};

std::string part(CURLU* url, CURLUPart which) {
    char* text = nullptr;
    if (curl_url_get(url, which, &text, 0) != CURLUE_OK) {
        return {};
    }
    std::string result(text);
    curl_free(text);
    return result;
}

// Scheme, host and port only: the user, the path and the query may hold a credential.
std::string place(const std::string& text) {
    const std::unique_ptr<CURLU, FreeUrl> url(curl_url());
    if (!url || curl_url_set(url.get(), CURLUPART_URL, text.c_str(), CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK) {
        return "not a URL";
    }
    const std::string port = part(url.get(), CURLUPART_PORT);
    return part(url.get(), CURLUPART_SCHEME) + "://" + part(url.get(), CURLUPART_HOST) +
           (port.empty() ? "" : ":" + port);
}

// libcurl would send a line break as it is: the rest of the value would be a header of its own.
void refuse_line_breaks(const Request& request) {
    const auto has_break = [](const std::string& text) {
        return text.find_first_of("\r\n\0", 0, 3) != std::string::npos;
    };
    for (const auto& [name, value] : request.headers) {
        if (has_break(name) || has_break(value)) {
            throw TransportError(fmt::format("{}: a request header holds a line break", place(request.url)));
        }
    }
    if (has_break(request.method) || request.method.empty()) {
        throw TransportError(fmt::format("{}: not an HTTP method", place(request.url)));
    }
}

class CurlHttpClient final : public HttpClient {
public:
    explicit CurlHttpClient(TlsTrust trust) : trust_(std::move(trust)), handle_(curl_easy_init()) {
        if (!handle_) {
            throw TransportError("libcurl could not be set up");
        }
    }

    Response send(const Request& request) override {
        refuse_line_breaks(request);
        if (trust_.mode == TlsTrust::Mode::pinned && !place(request.url).starts_with("https://")) {
            throw TransportError(fmt::format("{}: a pinned key needs https", place(request.url)));
        }
        Received received;
        CURL* const handle = handle_.get();
        curl_easy_reset(handle);  // keeps the connection
        const auto headers = header_list(request);
        configure(request, headers.get(), received);
        apply_trust();
        const CURLcode code = curl_easy_perform(handle);
        if (received.too_large) {
            throw TransportError(fmt::format("{}: answer is larger than {} bytes", place(request.url), max_body_bytes));
        }
        if (code != CURLE_OK) {
            const char* const detail = received.detail.data();
            throw TransportError(
                fmt::format("{}: {}", place(request.url), *detail != '\0' ? detail : curl_easy_strerror(code)));
        }
        long status = 0;
        curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
        received.response.status = static_cast<int>(status);
        return std::move(received.response);
    }

private:
    struct FreeEasy {
        void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
    };
    struct FreeList {
        void operator()(curl_slist* list) const { curl_slist_free_all(list); }
    };
    using HeaderList = std::unique_ptr<curl_slist, FreeList>;

    static HeaderList header_list(const Request& request) {
        HeaderList list;
        for (const auto& [name, value] : request.headers) {
            curl_slist* const longer = curl_slist_append(list.get(), fmt::format("{}: {}", name, value).c_str());
            if (longer != nullptr) {
                static_cast<void>(list.release());
                list.reset(longer);
            }
        }
        return list;
    }

    template <class Value>
    void set(CURLoption option, Value value) {
        curl_easy_setopt(handle_.get(), option, value);
    }

    void configure(const Request& request, curl_slist* headers, Received& received) {
        const auto timeout_ms = std::max(static_cast<long>(request.timeout.count()), 1L);  // 0 would be for ever
        set(CURLOPT_ERRORBUFFER, received.detail.data());
        set(CURLOPT_URL, request.url.c_str());
        set(CURLOPT_PROTOCOLS_STR, "http,https");
        set(CURLOPT_NOSIGNAL, 1L);
        set(CURLOPT_FOLLOWLOCATION, 0L);
        set(CURLOPT_TIMEOUT_MS, timeout_ms);
        set(CURLOPT_CONNECTTIMEOUT_MS, timeout_ms);
        set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
        set(CURLOPT_HTTPHEADER, headers);
        set(CURLOPT_WRITEFUNCTION, &twc_curl_body);
        set(CURLOPT_WRITEDATA, &received);
        set(CURLOPT_HEADERFUNCTION, &twc_curl_header);
        set(CURLOPT_HEADERDATA, &received);
        if (request.digest) {
            set(CURLOPT_HTTPAUTH, CURLAUTH_DIGEST);
            set(CURLOPT_USERNAME, request.digest->username.c_str());
            set(CURLOPT_PASSWORD, request.digest->password.c_str());
        }
        if (request.method == "HEAD") {
            set(CURLOPT_NOBODY, 1L);  // or libcurl would wait for the body that never comes
        }
        if (!request.body.empty() || request.method == "POST") {
            set(CURLOPT_POSTFIELDS, request.body.c_str());
            set(CURLOPT_POSTFIELDSIZE, static_cast<long>(request.body.size()));
        }
    }

    void apply_trust() {
        const bool verify = trust_.mode == TlsTrust::Mode::system_roots || trust_.mode == TlsTrust::Mode::ca_file;
        set(CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
        set(CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
        if (trust_.mode == TlsTrust::Mode::ca_file) {
            set(CURLOPT_CAINFO, trust_.ca_file.c_str());
        }
        if (trust_.mode == TlsTrust::Mode::pinned) {
            set(CURLOPT_PINNEDPUBLICKEY, trust_.pin.c_str());
        }
    }

    TlsTrust trust_;
    std::unique_ptr<CURL, FreeEasy> handle_;
};

}  // namespace

CurlHttpClientFactory::CurlHttpClientFactory() { curl_global_init(CURL_GLOBAL_DEFAULT); }

std::unique_ptr<HttpClient> CurlHttpClientFactory::make_client(const TlsTrust& trust) {
    return std::make_unique<CurlHttpClient>(trust);
}

std::optional<std::string> header(const Response& response, const std::string& name) {
    const auto found = response.headers.find(name);
    return found == response.headers.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace http
