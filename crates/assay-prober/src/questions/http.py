# One HTTP request on a host without curl: the request as JSON on stdin; on stdout the head of the last response and a
# line about it, on stderr its body. The exit status says what went wrong, in the numbers of curl.
import base64, http.client, json, os, socket, ssl, sys, time, urllib.parse, urllib.request

try:
    import zlib
except ImportError:
    zlib = None

want = json.load(sys.stdin)
end = time.monotonic() + want["timeout"]


class Late(Exception):
    pass


def left():
    rest = end - time.monotonic()
    if rest <= 0:
        raise Late()
    return rest


def context():
    it = ssl.create_default_context(cafile=want["ca"] or None)
    if want["insecure"]:
        it.check_hostname = False
        it.verify_mode = ssl.CERT_NONE
    if want["cert"] and want["key"]:
        it.load_cert_chain(want["cert"], want["key"])
    return it


def connect(url):
    proxy = want["proxy"]
    if not proxy and not want["direct"] and not urllib.request.proxy_bypass(url.hostname):
        proxy = urllib.request.getproxies().get(url.scheme, "")
    target = url._replace(fragment="")
    path = urllib.parse.urlunsplit(("", "", target.path or "/", target.query, ""))
    port = url.port or (443 if url.scheme == "https" else 80)
    if url.scheme == "https":
        secure = context()
        if proxy:
            via = urllib.parse.urlsplit(proxy if "://" in proxy else "http://" + proxy)
            it = http.client.HTTPSConnection(via.hostname, via.port or 80, timeout=left(), context=secure)
            it.set_tunnel(url.hostname, port)
            return it, path
        return http.client.HTTPSConnection(url.hostname, port, timeout=left(), context=secure), path
    if proxy:
        via = urllib.parse.urlsplit(proxy if "://" in proxy else "http://" + proxy)
        return http.client.HTTPConnection(via.hostname, via.port or 80, timeout=left()), urllib.parse.urlunsplit(target)
    return http.client.HTTPConnection(url.hostname, port, timeout=left()), path


def once(url, method, body, headers):
    it, path = connect(url)
    names = {name.lower() for name, _ in headers}
    it.putrequest(method, path, skip_host="host" in names, skip_accept_encoding=True)
    for name, value in headers:
        it.putheader(name, value)
    if want["packed"] and zlib:
        it.putheader("Accept-Encoding", "gzip")
    if body or method in ("POST", "PUT", "PATCH"):
        it.putheader("Content-Length", str(len(body)))
    it.endheaders(body or None)
    return it, it.getresponse()


def run():
    url = urllib.parse.urlsplit(want["url"])
    method, body, headers = want["method"], want["body"].encode(), [tuple(h) for h in want["headers"]]
    if want["user"] or want["password"]:
        secret = base64.b64encode((want["user"] + ":" + want["password"]).encode()).decode()
        headers = [h for h in headers if h[0].lower() != "authorization"] + [("Authorization", "Basic " + secret)]
    first = url.hostname
    for redirects in range(11):
        it, response = once(url, method, body, headers)
        to = response.getheader("Location")
        if not want["follow"] or response.status not in (301, 302, 303, 307, 308) or not to:
            return response, redirects
        if redirects == 9:
            sys.exit(47)
        url = urllib.parse.urlsplit(urllib.parse.urljoin(urllib.parse.urlunsplit(url), to))
        if url.scheme not in ("http", "https"):
            sys.exit(1)
        if response.status in (301, 302, 303):
            body = b""
            method = method if method in ("GET", "HEAD") else "GET"
        if url.hostname != first:
            headers = [h for h in headers if h[0].lower() not in ("authorization", "cookie", "host")]
        it.close()


try:
    response, redirects = run()
    head = "HTTP/1.1 %d %s\r\n" % (response.status, response.reason)
    head += "".join("%s: %s\r\n" % h for h in response.getheaders())
    os.write(1, (head + "\r\n\n%03d %d" % (response.status, redirects)).encode("latin-1", "replace"))
    sys.stdout.close()
    packed = want["packed"] and zlib and (response.getheader("Content-Encoding") or "").lower() == "gzip"
    unpack = zlib.decompressobj(31) if packed else None
    kept = 0
    while True:
        part = response.read(65536)
        if not part:
            break
        left()
        if unpack:
            part = unpack.decompress(part, 1 << 20)
        kept += len(part)
        if kept < 1 << 20:
            sys.stderr.buffer.write(part)
    sys.stderr.flush()
except ssl.SSLError:
    sys.exit(60)
except (socket.timeout, TimeoutError, Late):
    sys.exit(28)
except socket.gaierror:
    sys.exit(6)
except ConnectionRefusedError:
    sys.exit(7)
except FileNotFoundError:
    sys.exit(58)
except (OSError, http.client.HTTPException, ValueError, getattr(zlib, "error", ValueError)):
    sys.exit(56)
