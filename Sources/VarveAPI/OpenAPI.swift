/// What `GET /openapi.yaml` answers. Written by hand beside the routes; a test holds it, `Route` and the codes together.

package let openAPIDocument = "openapi: 3.1.0\n"
