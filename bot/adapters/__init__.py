"""One library, one room: each adapter implements a port and maps its library's errors to ours."""
