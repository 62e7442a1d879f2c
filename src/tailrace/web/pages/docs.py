"""`/docs`: the API's description, by a Swagger UI that is vendored and loads nothing from elsewhere."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from tailrace.web.context import Shared

router = APIRouter(include_in_schema=False)


@router.head("/docs")
@router.get("/docs")
async def docs(shared: Shared) -> HTMLResponse:
    """The page."""
    return HTMLResponse(shared.renderer.render("docs.html"))
